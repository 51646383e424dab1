-- What people list: the failed, refused, unmatched and queued contacts, one by one, and what `enrich status` shows.

-- query: list_failed
-- Reads the failed contacts that wait for a retry, the latest first, with what is known of their failures so far.
-- What failed before the contact was last written belongs to an earlier story.
SELECT f.crm, f.object_type, f.crm_id, f.step, f.reason, f.error, f.run_id, f.attempts, f.failures,
    {read:f.failed_at} AS last_at, {read:f.first_at} AS first_at
FROM (
    SELECT d.crm, d.object_type, d.crm_id, d.step, d.reason, d.error, d.run_id, d.failed_at, d.replayed_at,
        MIN(d.failed_at) OVER (PARTITION BY d.crm, d.object_type, d.crm_id) AS first_at,
        SUM(d.attempts) OVER (PARTITION BY d.crm, d.object_type, d.crm_id) AS attempts,
        COUNT(*) OVER (PARTITION BY d.crm, d.object_type, d.crm_id) AS failures
    FROM failed_records d
    LEFT JOIN (
        SELECT w.crm, w.object_type, w.crm_id, MAX(l.finished_at) AS good_at
        FROM failed_records w
        JOIN record_ledger l ON l.crm = w.crm AND l.object_type = w.object_type AND l.crm_id = w.crm_id
        WHERE w.replayed_at IS NULL AND l.disposition IN ('written', 'unchanged')
        GROUP BY w.crm, w.object_type, w.crm_id) g
    ON g.crm = d.crm AND g.object_type = d.object_type AND g.crm_id = d.crm_id
    WHERE d.replayed_at IS NULL OR g.good_at IS NULL OR g.good_at < d.failed_at) f
WHERE f.replayed_at IS NULL AND f.failed_at >= {time::since}
    AND (:run_id = '' OR f.run_id = :run_id) AND (:reason = '' OR f.reason = :reason)
ORDER BY f.failed_at DESC, f.crm_id LIMIT :limit

-- query: list_refused
-- Reads the fields that were not written and still aren't, contact by contact, the latest first.
-- A later run that wrote the contact, or found nothing to change, took the field or refused it again. The run counts,
-- since one that ends a contact twice may keep its refusals once.
SELECT c.crm, c.object_type, c.crm_id, c.field, c.reason, c.value, c.run_id,
    {read:c.refused_at} AS last_at, {read:c.first_at} AS first_at
FROM (
    SELECT r.crm, r.object_type, r.crm_id, r.field, r.reason, r.value, r.run_id, r.refused_at,
        MIN(r.refused_at) OVER (PARTITION BY r.crm, r.object_type, r.crm_id, r.field) AS first_at,
        ROW_NUMBER() OVER (
            PARTITION BY r.crm, r.object_type, r.crm_id, r.field ORDER BY r.refused_at DESC, r.reason) AS place
    FROM field_refusals r WHERE :field = '' OR r.field = :field) c
LEFT JOIN (
    SELECT w.crm, w.object_type, w.crm_id, w.run_id, MAX(l.finished_at) AS good_at
    FROM field_refusals w
    JOIN record_ledger l ON l.crm = w.crm AND l.object_type = w.object_type AND l.crm_id = w.crm_id
        AND l.run_id <> w.run_id
    WHERE l.disposition IN ('written', 'unchanged') AND (:field = '' OR w.field = :field)
    GROUP BY w.crm, w.object_type, w.crm_id, w.run_id) g
ON g.crm = c.crm AND g.object_type = c.object_type AND g.crm_id = c.crm_id AND g.run_id = c.run_id
WHERE c.place = 1 AND (g.good_at IS NULL OR g.good_at < c.refused_at) AND c.refused_at >= {time::since}
    AND (:run_id = '' OR c.run_id = :run_id) AND (:reason = '' OR c.reason = :reason)
ORDER BY c.refused_at DESC, c.crm_id, c.field LIMIT :limit

-- query: list_unmatched
-- Reads the unmatched contacts that are not reviewed yet, and that no later run has found, the latest first.
SELECT u.crm, u.object_type, u.crm_id, u.reason, u.provider, u.run_id, u.lookup_identifier,
    {read:u.unmatched_at} AS last_at,
    {read:MIN(CASE WHEN l.disposition <> 'written' AND l.disposition <> 'unchanged' THEN l.finished_at END)} AS first_at
FROM unmatched_records u
LEFT JOIN record_ledger l ON l.crm = u.crm AND l.object_type = u.object_type AND l.crm_id = u.crm_id
    AND l.disposition IN ('unmatched', 'invalid', 'suppressed', 'written', 'unchanged')
WHERE u.reviewed_at IS NULL AND u.unmatched_at >= {time::since}
    AND (:run_id = '' OR u.run_id = :run_id) AND (:reason = '' OR u.reason = :reason)
GROUP BY u.crm, u.object_type, u.crm_id, u.reason, u.provider, u.run_id, u.lookup_identifier, u.unmatched_at
HAVING COUNT(CASE WHEN l.disposition IN ('written', 'unchanged') AND l.finished_at > u.unmatched_at THEN 1 END) = 0
ORDER BY u.unmatched_at DESC, u.crm_id, u.provider LIMIT :limit

-- query: matched_domains
-- Counts the contacts that were found at each domain, the most frequent first.
SELECT l.email_domain, COUNT(*) AS contacts FROM record_ledger l
WHERE l.disposition IN ('written', 'unchanged') AND l.email_domain <> ''
GROUP BY l.email_domain ORDER BY contacts DESC, l.email_domain LIMIT 100000

-- query: review_results
-- Counts how contacts ended since a moment, by what had queued them, result and reason, with one of each.
SELECT l.source, l.disposition AS result, l.reason, COUNT(*) AS contacts, MIN(l.crm_id) AS example
FROM record_ledger l WHERE l.finished_at > {time::since} GROUP BY l.source, l.disposition, l.reason

-- query: finished_last
-- Reads how the contacts ended that were finished last.
SELECT l.crm_id, l.disposition AS result FROM record_ledger l
WHERE l.crm = :crm AND l.object_type = :object_type AND l.finished_at > {time::since}
ORDER BY l.finished_at DESC, l.crm_id LIMIT :limit

-- query: list_queued
-- Reads the queued contacts in the order in which runs take them.
SELECT s.crm, s.object_type, s.crm_id, s.lane, s.state, s.source, s.attempts, s.claim_run_id AS run_id,
    {read:s.staged_at} AS staged_at, {read:s.not_before} AS not_before,
    {read:s.claim_expires_at} AS claim_expires_at
FROM enrichment_staging s
WHERE s.staged_at >= {time::since} AND (:lane = '' OR s.lane = :lane)
    AND (:run_id = '' OR s.claim_run_id = :run_id)
ORDER BY s.lane DESC, s.staged_at, s.crm_id LIMIT :limit

-- query: failed_causes
-- Reads why contacts of a run failed: each cause with how many, the first ten, and since when contacts wait for it.
SELECT c.reason, c.step, c.crm_id, c.contacts, {read:c.first_at} AS first_at FROM (
    SELECT f.reason, f.step, f.crm_id, f.run_id,
        COUNT(CASE WHEN f.run_id = :run_id THEN 1 END) OVER (PARTITION BY f.reason, f.step) AS contacts,
        MIN(f.failed_at) OVER (PARTITION BY f.reason, f.step) AS first_at,
        ROW_NUMBER() OVER (PARTITION BY f.reason, f.step, f.run_id ORDER BY f.crm_id) AS place
    FROM failed_records f WHERE f.run_id = :run_id OR f.replayed_at IS NULL) c
WHERE c.run_id = :run_id AND c.place <= 10 ORDER BY c.contacts DESC, c.reason, c.step, c.place

-- query: status_lanes
-- Counts what each lane holds: what waits, what runs hold, and since when the oldest is there.
SELECT s.lane, COUNT(*) AS records, SUM(CASE WHEN s.claimed_by IS NULL THEN 0 ELSE 1 END) AS locked,
    {read:MIN(s.staged_at)} AS oldest_at
FROM enrichment_staging s GROUP BY s.lane ORDER BY s.lane DESC

-- query: status_runs
-- Reads the runs that began since a moment, the latest first.
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state,
    {read:n.started_at} AS started_at, {read:n.finished_at} AS finished_at, n.claimed, n.returned, n.credits, n.failure_rate, n.stop_kind
FROM enrichment_runs n WHERE n.started_at >= {time::since} ORDER BY n.started_at DESC, n.run_id LIMIT :limit

-- query: keep_profile
-- Keeps what a look at a CRM counted.
INSERT INTO crm_profiles (crm, profiled_at, contacts, contacts_read, counts)
VALUES (:crm, {time::at}, :contacts, :contacts_read, :counts)

-- query: read_profiles
-- Reads the first and the latest profile of each CRM.
SELECT p.crm, {read:p.profiled_at} AS profiled_at, p.contacts, p.contacts_read, p.counts FROM crm_profiles p
JOIN (SELECT crm, MIN(profiled_at) AS first_at, MAX(profiled_at) AS last_at FROM crm_profiles GROUP BY crm) k
ON k.crm = p.crm WHERE p.profiled_at = k.first_at OR p.profiled_at = k.last_at ORDER BY p.crm, p.profiled_at
