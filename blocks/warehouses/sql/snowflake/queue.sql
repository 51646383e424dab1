-- query: promote_staged
-- Moves queued contacts up to the live lane that are staged for it again; one that was to be remapped is looked up.
-- differs because of how a list is unpacked
UPDATE enrichment_staging SET
    lane = 'live',
    changed_at = CASE WHEN enrichment_staging.source = 'remap' AND enrichment_staging.state <> 'waiting'
        THEN enrichment_staging.staged_at ELSE enrichment_staging.changed_at END,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END
WHERE lane = 'backfill' AND (crm, object_type, crm_id) IN (
    SELECT f.value['crm']::VARCHAR, f.value['object_type']::VARCHAR, f.value['crm_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    WHERE f.value['lane']::VARCHAR = 'live')

-- query: mark_refresh
-- Notes that a queued contact is to be looked up even if it is fresh; what a run works on is done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    refresh = TRUE,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at
        ELSE SYSDATE() END
WHERE (crm, object_type, crm_id) IN (
    SELECT f.value['crm']::VARCHAR, f.value['object_type']::VARCHAR, f.value['crm_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: stage_records
-- Queues contacts that aren't queued yet; a schedule leaves out those that have ended before.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO enrichment_staging t USING (
    SELECT r.record_id, r.crm, r.object_type, r.crm_id, r.email_address, r.source, r.lane, r.contact_created_at,
        r.refresh
    FROM (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['crm']::VARCHAR AS crm,
            f.value['object_type']::VARCHAR AS object_type, f.value['crm_id']::VARCHAR AS crm_id,
            f.value['email_address']::VARCHAR AS email_address,
            f.value['source']::VARCHAR AS source, f.value['lane']::VARCHAR AS lane,
            CAST(f.value['contact_created_at']::VARCHAR AS TIMESTAMP_NTZ) AS contact_created_at,
            f.value['refresh']::BOOLEAN AS refresh, f.index AS place
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
    LEFT JOIN (SELECT DISTINCT crm, object_type, crm_id FROM record_ledger) l
    ON l.crm = r.crm AND l.object_type = r.object_type AND l.crm_id = r.crm_id
    WHERE r.source <> 'schedule' OR l.crm_id IS NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY r.crm, r.object_type, r.crm_id ORDER BY r.place) = 1) s
ON t.crm = s.crm AND t.object_type = s.object_type AND t.crm_id = s.crm_id
WHEN NOT MATCHED THEN INSERT (record_id, crm, object_type, crm_id, email_address, source, lane, state,
    contact_created_at, refresh, staged_at)
    VALUES (s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.source, s.lane, 'waiting',
    s.contact_created_at, s.refresh, SYSDATE())

-- query: note_changes
-- Forgets the address of a queued contact that changed, and has what a run works on done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at ELSE SYSDATE() END
WHERE (crm, object_type, crm_id) IN (
    SELECT f.value['crm']::VARCHAR, f.value['object_type']::VARCHAR, f.value['crm_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: save_cursor
-- Keeps a position, whether or not there was one of this name.
-- differs because of the clock and how rows are merged
MERGE INTO event_cursors t USING (SELECT :name AS name, :cursor AS cursor) s ON t.name = s.name
WHEN MATCHED THEN UPDATE SET cursor = s.cursor, updated_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (s.name, s.cursor, SYSDATE())

-- query: begin_cursor
-- Keeps a position unless there is one of this name.
-- differs because of the clock and how rows are merged
MERGE INTO event_cursors t USING (SELECT :name AS name, :cursor AS cursor) s ON t.name = s.name
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (s.name, s.cursor, SYSDATE())

-- query: pause_lane
-- Pauses a lane; one that is paused stays paused since then.
-- differs because of the clock and how rows are merged
MERGE INTO paused_lanes t USING (SELECT :lane AS lane) s ON t.lane = s.lane
WHEN NOT MATCHED THEN INSERT (lane, paused_at) VALUES (s.lane, SYSDATE())

-- query: claim_records
-- Claims free records, live ones first, the oldest first.
-- differs because of the clock
-- The condition stands twice on purpose: the outer one is judged again at the moment of the update. Of a contact that
-- two intakes staged at the same instant, which no key prevents here, only the older record is free.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = DATEADD(second, :lease_seconds, SYSDATE()),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT s.record_id FROM (
        SELECT record_id, lane, source, staged_at, claimed_by, claim_expires_at, not_before FROM enrichment_staging
        WHERE crm = :crm AND object_type = :object_type QUALIFY ROW_NUMBER() OVER (PARTITION BY crm_id
            ORDER BY staged_at, record_id) = 1) s
    WHERE (:lane = '' OR s.lane = :lane) AND (:source = '' OR s.source = :source) AND s.lane NOT IN (SELECT lane FROM paused_lanes)
        AND (s.claimed_by IS NULL OR s.claim_expires_at < SYSDATE())
        AND (s.not_before IS NULL OR s.not_before <= SYSDATE())
    ORDER BY s.lane DESC, s.staged_at LIMIT :limit)
AND (claimed_by IS NULL OR claim_expires_at < SYSDATE())

-- query: peek_records
-- Reads the records that a claim would take, and how long ago each was queued.
-- differs because of the clock
SELECT s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.state, s.attempts, s.refresh, s.source, s.request_key,
    DATEDIFF(second, s.staged_at, SYSDATE()) AS age_seconds FROM (
    SELECT record_id, crm, object_type, crm_id, email_address, state, attempts, refresh, source, request_key, lane,
        staged_at, claimed_by, claim_expires_at, not_before
    FROM enrichment_staging
    WHERE crm = :crm AND object_type = :object_type
    QUALIFY ROW_NUMBER() OVER (PARTITION BY crm_id ORDER BY staged_at, record_id) = 1) s
WHERE (:lane = '' OR s.lane = :lane)
    AND (s.claimed_by IS NULL OR s.claim_expires_at < SYSDATE())
    AND (s.not_before IS NULL OR s.not_before <= SYSDATE())
ORDER BY s.lane DESC, s.staged_at LIMIT :limit

-- query: lock_claim
-- Locks the records of a claim until the transaction ends.
-- differs because an update that changes nothing takes the table's lock
UPDATE enrichment_staging SET claimed_by = claimed_by WHERE claimed_by = :token

-- query: mark_enriched
-- Marks records whose result is stored, with the request that led to it.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = SYSDATE(),
    request_key = COALESCE(NULLIF(r.request_key, ''), enrichment_staging.request_key),
    lookups = COALESCE(NULLIF(r.lookups, ''), enrichment_staging.lookups),
    email_domain = COALESCE(NULLIF(r.email_domain, ''), enrichment_staging.email_domain)
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['request_key']::VARCHAR AS request_key,
        f.value['lookups']::VARCHAR AS lookups, f.value['email_domain']::VARCHAR AS email_domain
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
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
    staged_at = SYSDATE()
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['new_record_id']::VARCHAR AS new_record_id
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
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
    not_before = DATEADD(millisecond, r.wait_milliseconds, SYSDATE()),
    attempts = enrichment_staging.attempts - IFF(r.costs_attempt, 0, 1)
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['costs_attempt']::BOOLEAN AS costs_attempt,
        ROUND(f.value['wait_seconds']::DOUBLE * 1000)::INTEGER AS wait_milliseconds
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.record_id = r.record_id
