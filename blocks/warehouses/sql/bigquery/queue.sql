-- query: promote_staged
-- Moves queued contacts up to the live lane that are staged for it again; one that was to be remapped is looked up.
-- differs because of how a list is unpacked
UPDATE enrichment_staging SET
    lane = 'live',
    changed_at = CASE WHEN enrichment_staging.source = 'remap' AND enrichment_staging.state <> 'waiting'
        THEN enrichment_staging.staged_at ELSE enrichment_staging.changed_at END,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END
FROM (
    SELECT DISTINCT JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.object_type') AS object_type,
        JSON_VALUE(value, '$.crm_id') AS crm_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value
    WHERE JSON_VALUE(value, '$.lane') = 'live') r
WHERE enrichment_staging.lane = 'backfill' AND enrichment_staging.crm = r.crm
    AND enrichment_staging.object_type = r.object_type AND enrichment_staging.crm_id = r.crm_id

-- query: mark_refresh
-- Notes that a queued contact is to be looked up even if it is fresh; what a run works on is done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    refresh = TRUE,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at
        ELSE CURRENT_TIMESTAMP() END
FROM (
    SELECT DISTINCT JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.object_type') AS object_type,
        JSON_VALUE(value, '$.crm_id') AS crm_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.crm = r.crm AND enrichment_staging.object_type = r.object_type
    AND enrichment_staging.crm_id = r.crm_id

-- query: stage_records
-- Queues contacts that aren't queued yet; a schedule leaves out those that have ended before.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO enrichment_staging (record_id, crm, object_type, crm_id, email_address, source, lane, state, attempts,
    contact_created_at, refresh, staged_at)
SELECT r.record_id, r.crm, r.object_type, r.crm_id, r.email_address, r.source, r.lane, 'waiting', 0,
    TIMESTAMP(r.contact_created_at), r.refresh = 'true', CURRENT_TIMESTAMP()
FROM (
    SELECT b.record_id, b.crm, b.object_type, b.crm_id, b.email_address, b.source, b.lane, b.contact_created_at,
        b.refresh,
        ROW_NUMBER() OVER (PARTITION BY b.crm, b.object_type, b.crm_id ORDER BY b.lane DESC, b.record_id) AS place
    FROM (
        SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.crm') AS crm,
            JSON_VALUE(value, '$.object_type') AS object_type, JSON_VALUE(value, '$.crm_id') AS crm_id,
            JSON_VALUE(value, '$.email_address') AS email_address, JSON_VALUE(value, '$.source') AS source,
            JSON_VALUE(value, '$.lane') AS lane, JSON_VALUE(value, '$.contact_created_at') AS contact_created_at,
            JSON_VALUE(value, '$.refresh') AS refresh
        FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) b) r
WHERE r.place = 1
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = r.crm AND s.object_type = r.object_type AND s.crm_id = r.crm_id)
    AND (r.source <> 'schedule' OR NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = r.crm AND l.object_type = r.object_type AND l.crm_id = r.crm_id))

-- query: note_changes
-- Forgets the address of a queued contact that changed, and has what a run works on done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at
        ELSE CURRENT_TIMESTAMP() END
FROM (
    SELECT DISTINCT JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.object_type') AS object_type,
        JSON_VALUE(value, '$.crm_id') AS crm_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.crm = r.crm AND enrichment_staging.object_type = r.object_type
    AND enrichment_staging.crm_id = r.crm_id

-- query: save_cursor
-- Keeps a position, whether or not there was one of this name.
-- differs because of the clock and how rows are merged
MERGE event_cursors c USING (SELECT :name AS name, :cursor AS position) r ON c.name = r.name
WHEN MATCHED THEN UPDATE SET cursor = r.position, updated_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (r.name, r.position, CURRENT_TIMESTAMP())

-- query: begin_cursor
-- Keeps a position unless there is one of this name.
-- differs because of the clock and how rows are merged
MERGE event_cursors c USING (SELECT :name AS name, :cursor AS position) r ON c.name = r.name
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (r.name, r.position, CURRENT_TIMESTAMP())

-- query: pause_lane
-- Pauses a lane; one that is paused stays paused since then.
-- differs because of the clock and how rows are merged
MERGE paused_lanes p USING (SELECT :lane AS lane) r ON p.lane = r.lane
WHEN NOT MATCHED THEN INSERT (lane, paused_at) VALUES (r.lane, CURRENT_TIMESTAMP())

-- query: claim_records
-- Claims free records, live ones first, the oldest first.
-- differs because of the clock
-- One job: a second one that meets it is run again by the service on what the first one left.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND object_type = :object_type AND (:lane = '' OR lane = :lane)
        AND (:source = '' OR source = :source)
        AND lane NOT IN (SELECT lane FROM paused_lanes)
        AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())
        AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP())
    ORDER BY lane DESC, staged_at LIMIT :limit)
AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())

-- query: peek_records
-- Reads the records that a claim would take, and how long ago each was queued.
-- differs because of the clock
SELECT record_id, crm, object_type, crm_id, email_address, state, attempts, refresh, source, request_key,
    TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), staged_at, SECOND) AS age_seconds FROM enrichment_staging
WHERE crm = :crm AND object_type = :object_type AND (:lane = '' OR lane = :lane)
    AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())
    AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP())
ORDER BY lane DESC, staged_at LIMIT :limit

-- query: lock_claim
-- Locks the records of a claim until the transaction ends.
-- differs because there is nothing to lock: every later statement names the claim it relies on
SELECT COUNT(*) AS records FROM enrichment_staging WHERE claimed_by = :token

-- query: mark_enriched
-- Marks records whose result is stored, with the request that led to it.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = CURRENT_TIMESTAMP(),
    request_key = COALESCE(NULLIF(r.request_key, ''), enrichment_staging.request_key),
    lookups = COALESCE(NULLIF(r.lookups, ''), enrichment_staging.lookups),
    email_domain = COALESCE(NULLIF(r.email_domain, ''), enrichment_staging.email_domain)
FROM (
    SELECT JSON_VALUE(value, '$.request_key') AS request_key, JSON_VALUE(value, '$.record_id') AS record_id,
        JSON_VALUE(value, '$.lookups') AS lookups, JSON_VALUE(value, '$.email_domain') AS email_domain
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.state IN ('claimed', 'enriched')
    AND enrichment_staging.record_id = r.record_id

-- query: restage_changed
-- Turns a finished record whose contact changed meanwhile into a new request.
-- differs because of the clock and how a list is unpacked
-- The finished request has its ledger row by now, and its place is taken by a new one.
UPDATE enrichment_staging SET
    record_id = r.new_record_id,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'webhook' ELSE enrichment_staging.source END,
    state = 'waiting',
    attempts = 0,
    not_before = NULL,
    processed_at = NULL,
    request_key = NULL,
    lookups = NULL,
    email_domain = NULL,
    changed_at = NULL,
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    staged_at = CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.new_record_id') AS new_record_id, JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.changed_at IS NOT NULL
    AND enrichment_staging.record_id = r.record_id

-- query: return_records
-- Puts records back into the queue, each with its wait.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = TIMESTAMP_ADD(CURRENT_TIMESTAMP(),
        INTERVAL CAST(CEIL(CAST(r.wait_seconds AS FLOAT64)) AS INT64) SECOND),
    attempts = enrichment_staging.attempts - CASE r.costs_attempt WHEN 'true' THEN 0 ELSE 1 END
FROM (
    SELECT JSON_VALUE(value, '$.wait_seconds') AS wait_seconds, JSON_VALUE(value, '$.costs_attempt') AS costs_attempt,
        JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.record_id = r.record_id
