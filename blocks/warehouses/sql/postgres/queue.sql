-- query: promote_staged
-- Moves queued contacts up to the live lane that are staged for it again; one that was to be remapped is looked up.
-- differs because of how a list is unpacked
UPDATE enrichment_staging SET
    lane = 'live',
    changed_at = CASE WHEN enrichment_staging.source = 'remap' AND enrichment_staging.state <> 'waiting'
        THEN enrichment_staging.staged_at ELSE enrichment_staging.changed_at END,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END
WHERE lane = 'backfill' AND (crm, object_type, crm_id) IN (
    SELECT value ->> 'crm', value ->> 'object_type', value ->> 'crm_id'
        FROM jsonb_array_elements(:rows::jsonb) AS r(value) WHERE value ->> 'lane' = 'live')

-- query: mark_refresh
-- Notes that a queued contact is to be looked up even if it is fresh; what a run works on is done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    refresh = TRUE,
    source = CASE enrichment_staging.source WHEN 'remap' THEN 'manual' ELSE enrichment_staging.source END,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at
        ELSE now() END
WHERE (crm, object_type, crm_id) IN (
    SELECT value ->> 'crm', value ->> 'object_type', value ->> 'crm_id'
        FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: stage_records
-- Queues contacts that aren't queued yet; a schedule leaves out those that have ended before.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO enrichment_staging (record_id, crm, object_type, crm_id, email_address, source, lane, state,
    contact_created_at, refresh, staged_at)
SELECT value ->> 'record_id', value ->> 'crm', value ->> 'object_type', value ->> 'crm_id', value ->> 'email_address',
    value ->> 'source', value ->> 'lane', 'waiting', (value ->> 'contact_created_at')::timestamptz,
    (value ->> 'refresh')::boolean, now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE value ->> 'source' <> 'schedule' OR NOT EXISTS (
    SELECT 1 FROM record_ledger l
    WHERE l.crm = value ->> 'crm' AND l.object_type = value ->> 'object_type' AND l.crm_id = value ->> 'crm_id')
ON CONFLICT (crm, object_type, crm_id) DO NOTHING

-- query: note_changes
-- Forgets the address of a queued contact that changed, and has what a run works on done again.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE state WHEN 'waiting' THEN changed_at ELSE now() END
WHERE (crm, object_type, crm_id) IN (
    SELECT value ->> 'crm', value ->> 'object_type', value ->> 'crm_id'
        FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: save_cursor
-- Keeps a position, whether or not there was one of this name.
-- differs because of the clock and how rows are merged
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (:name, :cursor, now())
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, updated_at = excluded.updated_at

-- query: begin_cursor
-- Keeps a position unless there is one of this name.
-- differs because of the clock and how rows are merged
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (:name, :cursor, now())
ON CONFLICT (name) DO NOTHING

-- query: pause_lane
-- Pauses a lane; one that is paused stays paused since then.
-- differs because of the clock and how rows are merged
INSERT INTO paused_lanes (lane, paused_at) VALUES (:lane, now())
ON CONFLICT (lane) DO NOTHING

-- query: claim_records
-- Claims free records, live ones first, the oldest first.
-- differs because of the clock
-- The condition stands twice on purpose: the outer one is judged again at the moment of the update. A range of lanes,
-- since with OR the index that has the order can't be used.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = now() + make_interval(secs => :lease_seconds),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND object_type = :object_type AND lane BETWEEN :lane AND COALESCE(NULLIF(:lane, ''), 'live')
        AND (:source = '' OR source = :source)
        AND lane NOT IN (SELECT lane FROM paused_lanes)
        AND (claimed_by IS NULL OR claim_expires_at < now())
        AND (not_before IS NULL OR not_before <= now())
    ORDER BY lane DESC, staged_at LIMIT :limit FOR UPDATE SKIP LOCKED)
AND (claimed_by IS NULL OR claim_expires_at < now())

-- query: peek_records
-- Reads the records that a claim would take, and how long ago each was queued.
-- differs because of the clock
SELECT record_id, crm, object_type, crm_id, email_address, state, attempts, refresh, source, request_key,
    extract(epoch FROM now() - staged_at)::bigint AS age_seconds FROM enrichment_staging
WHERE crm = :crm AND object_type = :object_type AND lane BETWEEN :lane AND COALESCE(NULLIF(:lane, ''), 'live')
    AND (claimed_by IS NULL OR claim_expires_at < now())
    AND (not_before IS NULL OR not_before <= now())
ORDER BY lane DESC, staged_at LIMIT :limit

-- query: lock_claim
-- Locks the records of a claim until the transaction ends.
-- differs because rows are locked one by one
SELECT record_id FROM enrichment_staging WHERE claimed_by = :token ORDER BY record_id FOR UPDATE

-- query: mark_enriched
-- Marks records whose result is stored, with the request that led to it.
-- differs because of the clock and how a list is unpacked
-- A map, since rows would be compared one by one with each record of the claim, of which the planner expects only one.
WITH made AS MATERIALIZED (
    SELECT jsonb_object_agg(value ->> 'record_id', jsonb_build_object('request_key', value -> 'request_key',
        'lookups', value -> 'lookups', 'email_domain', value -> 'email_domain')) AS said
    FROM jsonb_array_elements(:rows::jsonb) AS r(value))
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = now(),
    request_key = COALESCE(NULLIF(made.said -> record_id ->> 'request_key', ''), request_key),
    lookups = COALESCE(NULLIF(made.said -> record_id ->> 'lookups', ''), lookups),
    email_domain = COALESCE(NULLIF(made.said -> record_id ->> 'email_domain', ''), email_domain)
FROM made
WHERE claimed_by = :token AND state IN ('claimed', 'enriched') AND jsonb_exists(made.said, record_id)

-- query: restage_changed
-- Turns a finished record whose contact changed meanwhile into a new request.
-- differs because of the clock and how a list is unpacked
-- The finished request has its ledger row by now, and its place is taken by a new one.
UPDATE enrichment_staging SET
    record_id = r.value ->> 'new_record_id',
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
    staged_at = now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE claimed_by = :token AND changed_at IS NOT NULL AND record_id = r.value ->> 'record_id'

-- query: return_records
-- Puts records back into the queue, each with its wait.
-- differs because of the clock and how a list is unpacked
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = now() + make_interval(secs => (r.value ->> 'wait_seconds')::double precision),
    attempts = attempts - CASE WHEN (r.value ->> 'costs_attempt')::boolean THEN 0 ELSE 1 END
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE claimed_by = :token AND record_id = r.value ->> 'record_id'
