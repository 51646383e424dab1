-- The queue, its lanes and the locks on its contacts.

-- query: read_cursor
-- Reads a position.
SELECT cursor FROM event_cursors WHERE name = :name

-- query: advance_cursor
-- Moves a position on, if it still stands where the caller read it.
UPDATE event_cursors SET cursor = :cursor, updated_at = {now}
WHERE name = :name AND cursor = :before

-- query: read_pauses
-- Reads which lanes are paused, and since when.
SELECT lane, {read:paused_at} AS paused_at FROM paused_lanes ORDER BY lane

-- query: resume_lane
-- Ends the pause of a lane.
DELETE FROM paused_lanes WHERE lane = :lane

-- query: count_queue
-- Counts the queue by lane and state.
SELECT lane, state, COUNT(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: next_due
-- Reads when a claim finds the next record of a lane that isn't paused, and the time now.
-- What may be claimed is due a second ago: not every engine's clock stands still within a statement.
SELECT
    {read:MIN(CASE WHEN claimed_by IS NULL THEN COALESCE(not_before, {steady_in:-1}) ELSE claim_expires_at END)}
        AS due_at,
    {read:{steady}} AS read_at
FROM enrichment_staging
WHERE crm = :crm AND object_type = :object_type AND lane BETWEEN :lane AND COALESCE(NULLIF(:lane, ''), 'live')
    AND lane NOT IN (SELECT lane FROM paused_lanes)

-- query: count_lane
-- Counts a CRM's part of the queue, in one lane or both.
SELECT COUNT(*) AS records FROM enrichment_staging
WHERE crm = :crm AND object_type = :object_type AND lane BETWEEN :lane AND COALESCE(NULLIF(:lane, ''), 'live')

-- query: read_waiting
-- Reads which of these contacts are in the queue.
SELECT crm_id FROM enrichment_staging WHERE crm = :crm AND object_type = :object_type AND crm_id {among::ids}

-- query: claim_planned
-- Claims the free records of a plan that this run hasn't taken yet, also those that are held until it is approved.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = {steady_in::lease_seconds},
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND object_type = :object_type
        AND (claimed_by IS NULL OR claim_expires_at < {steady})
        AND record_id IN (
            SELECT p.record_id FROM planned_changes p
            WHERE p.plan_id = :plan_id AND COALESCE(p.taken_by, '') <> :run_id)
    ORDER BY staged_at LIMIT :limit {unlocked})
AND (claimed_by IS NULL OR claim_expires_at < {steady})

-- query: read_claim
-- Reads the records of a claim, and how long ago each was queued.
SELECT record_id, crm, object_type, crm_id, email_address, state, attempts, refresh, source, request_key,
    {seconds:staged_at to {now}} AS age_seconds FROM enrichment_staging
WHERE claimed_by = :token ORDER BY staged_at, record_id

-- query: read_held
-- Reads which of these records the claim still holds.
SELECT record_id FROM enrichment_staging WHERE claimed_by = :token AND record_id {among::ids}

-- query: renew_claim
-- Prolongs the claim of these records.
UPDATE enrichment_staging SET claim_expires_at = {steady_in::lease_seconds}
WHERE claimed_by = :token AND record_id {among::ids}

-- query: renew_claims_of_run
-- Prolongs the claims of a run.
UPDATE enrichment_staging SET claim_expires_at = {steady_in::lease_seconds}
WHERE claimed_by IS NOT NULL AND claim_run_id = :run_id

-- query: release_claims_of_run
-- Puts back what a run still holds; what another run has taken since isn't its own any more.
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE state WHEN 'claimed' THEN 'waiting' ELSE state END,
    attempts = attempts - :spared
WHERE claimed_by IS NOT NULL AND claim_run_id = :run_id

-- query: count_runs_at_work
-- Counts by lane the runs that hold a claim, at a provider and at a CRM.
SELECT n.lane,
    SUM(CASE WHEN REPLACE(n.providers, ',' || :provider || ',', '') <> n.providers THEN 1 ELSE 0 END) AS at_provider,
    SUM(CASE WHEN n.crm = :crm THEN 1 ELSE 0 END) AS at_crm
FROM (
    SELECT DISTINCT r.run_id, r.lane, r.crm, ',' || REPLACE(r.provider, ' ', '') || ',' AS providers
    FROM (
        SELECT DISTINCT s.claim_run_id FROM enrichment_staging s
        WHERE s.claimed_by IS NOT NULL AND s.claim_expires_at >= {steady}) c
    JOIN enrichment_runs r ON r.run_id = c.claim_run_id) n
GROUP BY n.lane

-- query: read_locks
-- Reads by run how many records are claimed, until when, and when the run was last seen.
SELECT n.run_id, n.flow_run_name AS name, {read:n.seen_at} AS seen_at, l.contacts, {read:l.free_at} AS free_at,
    {read:{steady}} AS read_at
FROM (
    SELECT claim_run_id, COUNT(*) AS contacts, MAX(claim_expires_at) AS free_at FROM enrichment_staging
    WHERE claimed_by IS NOT NULL AND claim_expires_at >= {steady} GROUP BY claim_run_id) l
JOIN enrichment_runs n ON n.run_id = l.claim_run_id ORDER BY n.seen_at

-- query: delete_finished
-- Deletes finished records from the queue.
DELETE FROM enrichment_staging WHERE claimed_by = :token AND record_id {among_rows:record_id}
