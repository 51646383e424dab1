-- What people ask: a contact's story, the weekly review, the report.

-- query: read_health
-- Reads since when a live contact could have been enriched, how many contacts failed, and when a run last ended well.
SELECT
    (
        SELECT {read:MIN(staged_at)} FROM enrichment_staging
        WHERE lane = 'live' AND state = 'waiting' AND claimed_by IS NULL
            AND (not_before IS NULL OR not_before <= {steady})
            AND lane NOT IN (SELECT lane FROM paused_lanes)) AS oldest_at,
    (SELECT COUNT(*) FROM failed_records WHERE replayed_at IS NULL) AS failed,
    (SELECT COUNT(*) FROM failed_records WHERE replayed_at IS NULL AND failed_at >= {ago:1}) AS failed_lately,
    (SELECT {read:MAX(finished_at)} FROM enrichment_runs WHERE state = 'closed') AS good_at,
    {read:{now}} AS read_at

-- query: read_clock
-- Reads the warehouse's clock.
SELECT {read:{now}} AS read_at

-- query: story_staging
-- Reads a contact's record in the queue.
SELECT s.crm, s.source, s.lane, s.state, s.attempts, {read:s.not_before} AS not_before,
    {read:s.staged_at} AS staged_at, {read:s.processed_at} AS processed_at, s.request_key,
    s.refresh
FROM enrichment_staging s
WHERE s.crm_id = :crm_id AND s.object_type = :object_type AND (:crm = '' OR s.crm = :crm)

-- query: story_contact
-- Reads the follow-ups and other fields of a contact's stored result.
SELECT c.crm, {read:c.enrichment_timestamp} AS enrichment_timestamp, c.company_name, c.employee_count, c.industry,
    {json:c.tech_stack} AS tech_stack, c.linkedin_url,
    {json:c.intent_keywords} AS intent_keywords, c.provider, c.provider_record_id, c.confidence,
    {json:c.attributes} AS attributes
FROM enriched_contacts c
WHERE c.crm_id = :crm_id AND c.object_type = :object_type AND (:crm = '' OR c.crm = :crm)

-- query: story_replies
-- Reads what providers answered about a contact.
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id, {read:p.received_at} AS received_at, p.run_id
FROM provider_replies p
JOIN (
    SELECT DISTINCT provider, request_key FROM contact_requests
    WHERE crm_id = :crm_id AND object_type = :object_type AND (:crm = '' OR crm = :crm)) q
ON q.provider = p.provider AND q.request_key = p.request_key
ORDER BY p.received_at

-- query: story_writes
-- Reads the changes that were made to a contact.
SELECT w.crm, w.field, w.before, w.after, w.run_id, {read:w.planned_at} AS planned_at,
    {read:w.written_at} AS written_at, {read:w.reverted_at} AS reverted_at, w.reverted_by,
    w.is_undo
FROM crm_writes w
WHERE w.crm_id = :crm_id AND w.object_type = :object_type AND (:crm = '' OR w.crm = :crm)
ORDER BY w.planned_at, w.field

-- query: story_refusals
-- Reads which of a contact's fields were refused.
SELECT d.crm, d.field, d.reason, d.value, d.run_id, {read:d.refused_at} AS refused_at
FROM field_refusals d
WHERE d.crm_id = :crm_id AND d.object_type = :object_type AND (:crm = '' OR d.crm = :crm)
ORDER BY d.refused_at, d.field

-- query: story_unmatched
-- Reads what is filed of a contact as unmatched.
SELECT u.crm, u.reason, u.provider, {read:u.unmatched_at} AS unmatched_at, {read:u.reviewed_at} AS reviewed_at
FROM unmatched_records u
WHERE u.crm_id = :crm_id AND u.object_type = :object_type AND (:crm = '' OR u.crm = :crm)
ORDER BY u.unmatched_at

-- query: story_failures
-- Reads a contact's dead letters.
SELECT d.crm, d.step, d.reason, d.error, {read:d.failed_at} AS failed_at, {read:d.replayed_at} AS replayed_at
FROM failed_records d
WHERE d.crm_id = :crm_id AND d.object_type = :object_type AND (:crm = '' OR d.crm = :crm)
ORDER BY d.failed_at

-- query: story_ledger
-- Reads how a contact's records ended, and in which runs.
SELECT l.crm, l.disposition, l.reason, l.request_key, l.lane, l.source, l.attempts,
    {read:l.contact_created_at} AS contact_created_at, {read:l.staged_at} AS staged_at,
    {read:l.finished_at} AS finished_at, l.run_id
FROM record_ledger l
WHERE l.crm_id = :crm_id AND l.object_type = :object_type AND (:crm = '' OR l.crm = :crm)
ORDER BY l.finished_at

-- query: review_endings
-- Counts how records ended since a moment, and in as many days before.
SELECT e.disposition, e.earlier, COUNT(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > {time::since} THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > {time::before}) e
GROUP BY e.disposition, e.earlier

-- query: review_replies
-- Counts replies and credits since a moment, and in as many days before.
SELECT p.provider, p.outcome, p.earlier, COUNT(*) AS replies, SUM(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > {time::since} THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > {time::before}) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
-- Counts how many of the contacts enriched since a moment have each field.
SELECT COUNT(*) AS contacts, COUNT(c.company_name) AS company_name, COUNT(c.employee_count) AS employee_count,
    COUNT(c.industry) AS industry, COUNT(c.linkedin_url) AS linkedin_url,
    COUNT(CASE WHEN {filled:c.tech_stack} THEN 1 END) AS tech_stack,
    COUNT(CASE WHEN {filled:c.intent_keywords} THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > {time::since}

-- query: review_failures
-- Counts the dead letters since a moment and those that wait, by cause.
SELECT f.reason, f.step, SUM(f.is_recent) AS records, SUM(f.waits) AS waiting, MIN(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > {time::since} THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > {time::since}) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_refusals
-- Counts the values that CRM fields refused since a moment, by field and reason, with the most frequent values of each.
SELECT c.field, c.reason, c.value, c.contacts, c.total FROM (
    SELECT r.field, r.reason, r.value, COUNT(*) AS contacts,
        SUM(COUNT(*)) OVER (PARTITION BY r.field, r.reason) AS total,
        ROW_NUMBER() OVER (PARTITION BY r.field, r.reason ORDER BY COUNT(*) DESC, r.value) AS place
    FROM field_refusals r WHERE r.refused_at > {time::since} GROUP BY r.field, r.reason, r.value) c
WHERE c.place <= 10 ORDER BY c.total DESC, c.field, c.reason, c.place

-- query: review_latency
-- Counts how long live contacts took until they were written, in whole seconds.
SELECT t.begun, t.seconds, COUNT(*) AS records FROM (
    SELECT CAST('staged' AS {text}) AS begun,
        {seconds:l.staged_at to l.finished_at} AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > {time::since}
    UNION ALL
    SELECT CAST('created' AS {text}) AS begun,
        {seconds:l.contact_created_at to l.finished_at} AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > {time::since}
        AND l.contact_created_at > {time::since}) t
GROUP BY t.begun, t.seconds

-- query: count_known
-- Counts the contacts that a provider was asked about and knew, and those that it didn't know.
SELECT COALESCE(SUM(matched), 0) AS matched, COUNT(*) - COALESCE(SUM(matched), 0) AS unmatched FROM provider_results
WHERE provider = :provider

-- query: report_results
-- Counts how contacts ended, by week, since the Monday of a week.
SELECT week, result, COUNT(*) AS contacts FROM contact_results WHERE week >= :since GROUP BY week, result

-- query: report_matches
-- Counts the contacts that each provider knew and didn't know, by week.
SELECT week, provider, SUM(matched) AS matched, COUNT(*) - SUM(matched) AS unmatched FROM provider_results
WHERE week >= :since GROUP BY week, provider

-- query: report_sources
-- Counts the contacts that were known and unknown by what had queued them.
SELECT source, SUM(matched) AS matched, COUNT(matched) - SUM(matched) AS unmatched FROM contact_results
WHERE week >= :since AND matched IS NOT NULL GROUP BY source

-- query: report_fill
-- Counts how many results have each field, by week and provider.
SELECT week, provider, field, SUM(results) AS results, SUM(filled) AS filled FROM field_fill
WHERE week >= :since GROUP BY week, provider, field

-- query: report_spending
-- Sums what providers billed, by week, outcome, API version and currency.
SELECT week, provider, outcome, api_version, currency, SUM(replies) AS replies, SUM(credits) AS credits,
    SUM(cost) AS cost
FROM spending WHERE week >= :since GROUP BY week, provider, outcome, api_version, currency

-- query: report_latency
-- Counts how many seconds live contacts took until they were written, by week.
-- What a backfill selects, or what is older than so many seconds, was created long before it was queued.
SELECT week, 'created' AS begun, seconds_from_created AS seconds, COUNT(*) AS records FROM contact_results
WHERE week >= :since AND lane = 'live' AND result = 'written' AND source <> 'backfill'
    AND seconds_from_created <= :longest
GROUP BY week, seconds_from_created
UNION ALL
SELECT week, 'staged' AS begun, seconds_from_queued AS seconds, COUNT(*) AS records FROM contact_results
WHERE week >= :since AND lane = 'live' AND result = 'written'
GROUP BY week, seconds_from_queued

-- query: report_runs
-- Counts runs by how they ended.
SELECT state, stop_kind, COUNT(*) AS runs, MAX(week) AS last_week FROM run_totals
WHERE week >= :since GROUP BY state, stop_kind

-- query: report_written
-- Counts by field the values that the CRM took since the Monday of a week: into a blank field, or instead of another.
SELECT field, SUM(was_blank) AS filled, COUNT(*) - SUM(was_blank) AS replaced FROM written_fields
WHERE week >= :since AND reverted = 0 GROUP BY field

-- query: report_impact
-- Counts by field the contacts that had a value in the CRM before our first write, and those that have one now.
SELECT field, COUNT(*) AS contacts, SUM(filled_before) AS filled_before, SUM(filled_now) AS filled_now
FROM crm_completeness GROUP BY field

-- query: report_contacts
-- Counts the contacts that the pipeline has ever finished.
SELECT COUNT(*) AS contacts FROM (SELECT DISTINCT crm, object_type, crm_id FROM contact_results) c
