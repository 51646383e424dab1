-- Results, the CRM's updates, failed contacts, and plans of changes.

-- query: read_enriched
-- Reads the stored results of contacts.
SELECT c.crm_id, {read:c.enrichment_timestamp} AS enrichment_timestamp, c.company_name, c.employee_count,
    c.industry, {json:c.tech_stack} AS tech_stack, c.linkedin_url,
    {json:c.intent_keywords} AS intent_keywords, c.provider, c.provider_record_id, c.confidence,
    {json:c.attributes} AS attributes
FROM enriched_contacts c WHERE c.crm = :crm AND c.object_type = :object_type AND c.crm_id {among::ids}

-- query: read_earlier_writes
-- Reads the changes of contacts that were sent and never confirmed, and those that a run has made; an undo reads its own.
SELECT crm_id, field, after, run_id, CASE WHEN written_at IS NULL THEN 0 ELSE 1 END AS is_written FROM crm_writes
WHERE crm = :crm AND object_type = :object_type AND NOT is_undo
    AND (written_at IS NULL OR run_id = :run_id) AND crm_id {among::ids}

-- query: read_last_writes
-- Reads the last change of each field of contacts that the CRM has confirmed and that wasn't undone.
SELECT w.crm_id, w.field, w.after FROM (
    SELECT a.crm_id, a.field, a.after,
        ROW_NUMBER() OVER (PARTITION BY a.crm_id, a.field ORDER BY a.written_at DESC, a.planned_at DESC) AS place
    FROM crm_writes a
    WHERE a.crm = :crm AND a.object_type = :object_type AND a.written_at IS NOT NULL AND a.reverted_at IS NULL
        AND NOT a.is_undo AND a.crm_id {among::ids}) w
WHERE w.place = 1

-- query: read_written
-- Reads the changes of a run that the CRM holds.
SELECT w.crm_id, w.field, w.before, COALESCE(w.after, '') AS after FROM crm_writes w
WHERE w.run_id = :run_id AND w.crm = :crm AND w.object_type = :object_type
    AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
ORDER BY w.crm_id, w.field

-- query: count_run_changes
-- Counts the contacts and the values that a run writes, and how many of these replace another value.
SELECT COUNT(DISTINCT crm_id) AS contacts, COUNT(field) AS total, COUNT(before) AS overwritten FROM crm_writes
WHERE run_id = :run_id AND NOT is_undo

-- query: withdraw_writes
-- Forgets what a run has announced to write to contacts and hasn't sent.
DELETE FROM crm_writes
WHERE crm = :crm AND object_type = :object_type AND run_id = :run_id AND written_at IS NULL AND NOT is_undo
    AND crm_id {among::ids}

-- query: read_undoable
-- Reads the confirmed changes of those contacts of which some may be undone, by contact and field, the oldest first.
SELECT w.crm_id, w.field, w.before, w.after, w.run_id, w.is_undo, {read:w.written_at} AS written_at
FROM crm_writes w
WHERE w.crm = :crm AND w.object_type = :object_type AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
    AND w.crm_id IN (
        SELECT s.crm_id FROM crm_writes s
        WHERE s.crm = :crm AND s.object_type = :object_type AND s.written_at >= {time::since}
            AND s.reverted_at IS NULL AND (s.run_id = :run_id OR (:run_id = '' AND NOT s.is_undo))
            AND (:crm_id = '' OR s.crm_id = :crm_id) AND (:field = '' OR s.field = :field) AND s.crm_id > :after
        GROUP BY s.crm_id ORDER BY s.crm_id LIMIT :limit)
ORDER BY w.crm_id, w.field, w.written_at, w.planned_at

-- query: read_undone
-- Reads the values of contacts that were undone and must not be written again.
SELECT crm_id, field, before FROM crm_writes
WHERE crm = :crm AND object_type = :object_type AND is_undo AND reverted_at IS NULL AND before IS NOT NULL
    AND crm_id {among::ids}

-- query: mark_reviewed
-- Marks unmatched contacts that were filed up to a moment as reviewed.
UPDATE unmatched_records SET reviewed_at = {now}
WHERE reviewed_at IS NULL AND unmatched_at <= {time::until}

-- query: read_dead_letters
-- Reads the dead letters that weren't put back yet, of all runs or of one, for any reason or for one.
SELECT record_id, crm, object_type, crm_id, email_address, source, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id) AND (:reason = '' OR reason = :reason)
ORDER BY failed_at, record_id

-- query: mark_replayed
-- Marks dead letters as put back.
UPDATE failed_records SET replayed_at = {now} WHERE record_id {among_rows:record_id}

-- query: read_plan
-- Reads a plan, and how late it is.
SELECT p.plan_id, p.crm, p.provider, p.cause, p.policy, p.digest, {read:p.made_at} AS made_at, p.made_by, p.state,
    {read:p.decided_at} AS decided_at, p.decided_by, p.note, {read:{now}} AS read_at
FROM change_plans p WHERE p.plan_id = :plan_id

-- query: read_planned
-- Reads the changes of a plan.
SELECT crm, object_type, crm_id, record_id, field, before, after, rule, source FROM planned_changes
WHERE plan_id = :plan_id ORDER BY crm_id, field

-- query: read_waiting_plans
-- Reads the plans that wait for a decision, the newest first, with how many contacts each has.
SELECT c.plan_id, c.crm, c.cause, c.made_by, n.contacts FROM change_plans c
JOIN (SELECT plan_id, COUNT(DISTINCT crm_id) AS contacts FROM planned_changes GROUP BY plan_id) n
    ON n.plan_id = c.plan_id
WHERE c.state = 'waiting' ORDER BY c.made_at DESC, c.plan_id LIMIT 100

-- query: read_planned_of
-- Reads the changes that a plan has for contacts; none, unless it was approved.
SELECT crm_id, field, before, after FROM planned_changes
WHERE plan_id IN (SELECT c.plan_id FROM change_plans c WHERE c.plan_id = :plan_id AND c.state = 'approved')
    AND crm = :crm AND object_type = :object_type AND crm_id {among::ids}

-- query: seal_plan
-- Keeps the digest of a plan's changes.
UPDATE change_plans SET digest = :digest WHERE plan_id = :plan_id AND state = 'waiting'

-- query: decide_plan
-- Notes who approved or declined a plan that waits.
UPDATE change_plans SET state = :state, decided_by = :decided_by, note = :note, decided_at = {now}
WHERE plan_id = :plan_id AND state = 'waiting'

-- query: take_planned
-- Notes which changes of a plan a run has taken, by its claim.
UPDATE planned_changes SET taken_by = :run_id
WHERE plan_id = :plan_id AND record_id IN (SELECT s.record_id FROM enrichment_staging s WHERE s.claimed_by = :token)

-- query: release_planned
-- Lets the contacts of a plan that wait for its approval be claimed by any run.
UPDATE enrichment_staging SET not_before = NULL
WHERE claimed_by IS NULL AND record_id IN (SELECT p.record_id FROM planned_changes p WHERE p.plan_id = :plan_id)
