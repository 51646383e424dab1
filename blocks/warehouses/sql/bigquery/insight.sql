-- query: read_health
-- Reads since when a live contact could have been enriched, how many contacts failed, and when a run last ended well.
-- differs because of the clock
SELECT
    (
        SELECT MIN(staged_at) FROM enrichment_staging
        WHERE lane = 'live' AND state = 'waiting' AND claimed_by IS NULL AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP())
            AND lane NOT IN (SELECT lane FROM paused_lanes)) AS oldest_at,
    (SELECT COUNT(*) FROM failed_records WHERE replayed_at IS NULL) AS failed,
    (SELECT COUNT(*) FROM failed_records WHERE replayed_at IS NULL AND failed_at >= TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -1 DAY)) AS failed_lately,
    (SELECT MAX(finished_at) FROM enrichment_runs WHERE state = 'closed') AS good_at,
    CURRENT_TIMESTAMP() AS read_at

-- query: read_clock
-- Reads the warehouse's clock.
-- differs because of the clock
SELECT CURRENT_TIMESTAMP() AS read_at

-- query: review_endings
-- Counts how records ended since a moment, and in as many days before.
-- differs because of how a time is given
SELECT e.disposition, e.earlier, COUNT(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > TIMESTAMP(:since) THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > TIMESTAMP(:before)) e
GROUP BY e.disposition, e.earlier

-- query: review_failures
-- Counts the dead letters since a moment and those that wait, by cause.
-- differs because of how a time is given
SELECT f.reason, f.step, SUM(f.is_recent) AS records, SUM(f.waits) AS waiting, MIN(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > TIMESTAMP(:since) THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > TIMESTAMP(:since)) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_refusals
-- Counts the values that CRM fields refused since a moment, by field and reason, with the most frequent values of each.
-- differs because of how a time is given
SELECT c.field, c.reason, c.value, c.contacts, c.total FROM (
    SELECT r.field, r.reason, r.value, COUNT(*) AS contacts,
        SUM(COUNT(*)) OVER (PARTITION BY r.field, r.reason) AS total,
        ROW_NUMBER() OVER (PARTITION BY r.field, r.reason ORDER BY COUNT(*) DESC, r.value) AS place
    FROM field_refusals r WHERE r.refused_at > TIMESTAMP(:since) GROUP BY r.field, r.reason, r.value) c
WHERE c.place <= 10 ORDER BY c.total DESC, c.field, c.reason, c.place

-- query: review_replies
-- Counts replies and credits since a moment, and in as many days before.
-- differs because of how a time is given
SELECT p.provider, p.outcome, p.earlier, COUNT(*) AS replies, SUM(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > TIMESTAMP(:since) THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > TIMESTAMP(:before)) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
-- Counts how many of the contacts enriched since a moment have each field.
-- differs because of how a time is given and how JSON is kept
SELECT COUNT(*) AS contacts, COUNT(c.company_name) AS company_name, COUNT(c.employee_count) AS employee_count,
    COUNT(c.industry) AS industry, COUNT(c.linkedin_url) AS linkedin_url,
    COUNT(CASE WHEN TO_JSON_STRING(c.tech_stack) NOT IN ('null', '[]') THEN 1 END) AS tech_stack,
    COUNT(CASE WHEN TO_JSON_STRING(c.intent_keywords) NOT IN ('null', '[]') THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > TIMESTAMP(:since)

-- query: review_latency
-- Counts how long live contacts took until they were written, in whole seconds.
-- differs because of how a time is given
SELECT t.begun, t.seconds, COUNT(*) AS records FROM (
    SELECT 'staged' AS begun,
        TIMESTAMP_DIFF(l.finished_at, l.staged_at, SECOND) AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > TIMESTAMP(:since)
    UNION ALL
    SELECT 'created' AS begun,
        TIMESTAMP_DIFF(l.finished_at, l.contact_created_at, SECOND) AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > TIMESTAMP(:since)
        AND l.contact_created_at > TIMESTAMP(:since)) t
GROUP BY t.begun, t.seconds

-- query: story_staging
-- Reads a contact's record in the queue.
-- differs because another engine differs in how a time is read
SELECT s.crm, s.source, s.lane, s.state, s.attempts, s.not_before, s.staged_at, s.processed_at, s.request_key,
    s.refresh
FROM enrichment_staging s
WHERE s.crm_id = :crm_id AND s.object_type = :object_type AND (:crm = '' OR s.crm = :crm)

-- query: story_ledger
-- Reads how a contact's records ended, and in which runs.
-- differs because another engine differs in how a time is read
SELECT l.crm, l.disposition, l.reason, l.request_key, l.lane, l.source, l.attempts, l.contact_created_at, l.staged_at,
    l.finished_at, l.run_id
FROM record_ledger l
WHERE l.crm_id = :crm_id AND l.object_type = :object_type AND (:crm = '' OR l.crm = :crm)
ORDER BY l.finished_at

-- query: story_replies
-- Reads what providers answered about a contact.
-- differs because another engine differs in how a time is read
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id, p.received_at, p.run_id
FROM provider_replies p
JOIN (
    SELECT DISTINCT provider, request_key FROM contact_requests
    WHERE crm_id = :crm_id AND object_type = :object_type AND (:crm = '' OR crm = :crm)) q
ON q.provider = p.provider AND q.request_key = p.request_key
ORDER BY p.received_at

-- query: story_contact
-- Reads the follow-ups and other fields of a contact's stored result.
-- differs because of how JSON is kept
SELECT c.crm, c.enrichment_timestamp, c.company_name, c.employee_count, c.industry,
    TO_JSON_STRING(c.tech_stack) AS tech_stack, c.linkedin_url, TO_JSON_STRING(c.intent_keywords) AS intent_keywords,
    c.provider, c.provider_record_id, c.confidence, TO_JSON_STRING(c.attributes) AS attributes
FROM enriched_contacts c
WHERE c.crm_id = :crm_id AND c.object_type = :object_type AND (:crm = '' OR c.crm = :crm)

-- query: story_unmatched
-- Reads what is filed of a contact as unmatched.
-- differs because another engine differs in how a time is read
SELECT u.crm, u.reason, u.provider, u.unmatched_at, u.reviewed_at
FROM unmatched_records u
WHERE u.crm_id = :crm_id AND u.object_type = :object_type AND (:crm = '' OR u.crm = :crm)
ORDER BY u.unmatched_at

-- query: story_writes
-- Reads the changes that were made to a contact.
-- differs because another engine differs in how a time is read
SELECT w.crm, w.field, w.before, w.after, w.run_id, w.planned_at, w.written_at, w.reverted_at, w.reverted_by,
    w.is_undo
FROM crm_writes w
WHERE w.crm_id = :crm_id AND w.object_type = :object_type AND (:crm = '' OR w.crm = :crm)
ORDER BY w.planned_at, w.field

-- query: story_failures
-- Reads a contact's dead letters.
-- differs because another engine differs in how a time is read
SELECT d.crm, d.step, d.reason, d.error, d.failed_at, d.replayed_at
FROM failed_records d
WHERE d.crm_id = :crm_id AND d.object_type = :object_type AND (:crm = '' OR d.crm = :crm)
ORDER BY d.failed_at

-- query: story_refusals
-- Reads which of a contact's fields were refused.
-- differs because another engine differs in how a time is read
SELECT d.crm, d.field, d.reason, d.value, d.run_id, d.refused_at
FROM field_refusals d
WHERE d.crm_id = :crm_id AND d.object_type = :object_type AND (:crm = '' OR d.crm = :crm)
ORDER BY d.refused_at, d.field
