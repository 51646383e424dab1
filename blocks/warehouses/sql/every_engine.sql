-- Statements that are the same text in every engine, once; so are those of the other files in this folder.
-- Where an engine says something in its own way, a part of its parts.sql stands in braces, with what it is about:
-- {time} a moment that is given, {read} one as it is read, {json} JSON alike, {week} its Monday and {month} its month as text, {seconds}
-- from one to another, {ago} so many days ago; {text} the type, {filled} of a list, {among_ids} a
-- list of ids that is given, {view} makes one.

-- query: read_cursor
-- Reads a position.
SELECT cursor FROM event_cursors WHERE name = :name

-- query: resume_lane
-- Ends the pause of a lane.
DELETE FROM paused_lanes WHERE lane = :lane

-- query: read_dead_letters
-- Reads the dead letters that weren't put back yet, of all runs or of one, for any reason or for one.
SELECT record_id, crm, object_type, crm_id, email_address, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id) AND (:reason = '' OR reason = :reason)
ORDER BY failed_at, record_id

-- query: count_queue
-- Counts the queue by lane and state.
SELECT lane, state, COUNT(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: count_lane
-- Counts a CRM's part of the queue, in one lane or both.
SELECT COUNT(*) AS records FROM enrichment_staging
WHERE crm = :crm AND object_type = :object_type AND lane BETWEEN :lane AND COALESCE(NULLIF(:lane, ''), 'live')

-- query: release_claims_of_run
-- Puts back what a run still holds; what another run has taken since isn't its own any more.
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE state WHEN 'claimed' THEN 'waiting' ELSE state END,
    attempts = attempts - :spared
WHERE claimed_by IS NOT NULL AND claim_run_id = :run_id

-- query: cancel_run
-- Notes that a run is cancelled while it still works.
UPDATE enrichment_runs SET state = 'cancelled' WHERE run_id = :run_id AND state = 'open'

-- query: read_run_state
-- Reads whether a run's books are open.
SELECT state FROM enrichment_runs WHERE run_id = :run_id

-- query: drop_claim_reservations
-- Ends the reservations of a claim.
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: summarise_journal
-- Counts a provider's replies and credits by outcome.
SELECT outcome, COUNT(*) AS replies, SUM(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: read_reply_page
-- Reads a provider's replies with data since a moment, by their keys: these are hashes, so that some are a fair sample.
SELECT p.request_key, {json:p.reply} AS reply, p.outcome, p.credits, p.api_version, p.request_id,
    {read:p.received_at} AS received_at, p.run_id
FROM provider_replies p
WHERE p.provider = :provider AND p.request_key > :after AND p.received_at > {time::since}
    AND p.outcome IN ('matched', 'partial')
ORDER BY p.request_key LIMIT :limit

-- query: read_remappable
-- Reads the contacts about which a provider, or any, has answered since a moment, by their ids.
SELECT q.crm_id FROM contact_requests q
JOIN provider_replies p ON p.provider = q.provider AND p.request_key = q.request_key
WHERE q.crm = :crm AND q.object_type = :object_type AND q.crm_id > :after
    AND (:provider = '' OR q.provider = :provider) AND (:crm_id = '' OR q.crm_id = :crm_id)
    AND p.received_at > {time::since} AND p.outcome IN ('matched', 'partial', 'unmatched')
GROUP BY q.crm_id ORDER BY q.crm_id LIMIT :limit

-- query: read_last_writes
-- Reads the last change of each field of contacts that the CRM has confirmed and that wasn't undone.
SELECT w.crm_id, w.field, w.after FROM (
    SELECT a.crm_id, a.field, a.after,
        ROW_NUMBER() OVER (PARTITION BY a.crm_id, a.field ORDER BY a.written_at DESC, a.planned_at DESC) AS place
    FROM crm_writes a
    WHERE a.crm = :crm AND a.object_type = :object_type AND a.written_at IS NOT NULL AND a.reverted_at IS NULL
        AND NOT a.is_undo AND a.crm_id {among_ids}) w
WHERE w.place = 1

-- query: read_requests
-- Reads which requests were made for a contact.
SELECT provider, request_key, email_key FROM contact_requests
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_requests
-- Forgets which requests were made for a contact.
DELETE FROM contact_requests WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: read_addresses
-- Reads the addresses that are kept of a contact.
SELECT email_address FROM failed_records
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id
UNION ALL SELECT lookup_identifier FROM unmatched_records
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_contact
-- Deletes a contact's result.
DELETE FROM enriched_contacts WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_history
-- Deletes a contact's earlier results.
DELETE FROM enrichment_history WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_unmatched
-- Deletes what is filed of a contact as unmatched.
DELETE FROM unmatched_records WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_writes
-- Deletes the changes that were made to a contact.
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_dead_letters
-- Deletes a contact's dead letters.
DELETE FROM failed_records WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: allow_key
-- Takes off the suppression list what was put on it for this hashed identifier.
DELETE FROM suppressed_contacts WHERE suppressed_for = :subject

-- query: forget_refusals
-- Deletes what was refused of a contact.
DELETE FROM field_refusals WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: count_refusals
-- Counts the values that a run's CRM fields refused, by field and reason, with the most frequent values of each.
SELECT c.field, c.reason, c.value, c.contacts, c.total FROM (
    SELECT r.field, r.reason, r.value, COUNT(*) AS contacts,
        SUM(COUNT(*)) OVER (PARTITION BY r.field, r.reason) AS total,
        ROW_NUMBER() OVER (PARTITION BY r.field, r.reason ORDER BY COUNT(*) DESC, r.value) AS place
    FROM field_refusals r WHERE r.run_id = :run_id GROUP BY r.field, r.reason, r.value) c
WHERE c.place <= 10 ORDER BY c.total DESC, c.field, c.reason, c.place

-- query: count_dispositions
-- Counts a run's ended records by disposition.
SELECT disposition, COUNT(*) AS records FROM record_ledger WHERE run_id = :run_id GROUP BY disposition

-- query: count_reasons
-- Counts a run's records of one disposition by reason.
SELECT reason, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND disposition = :disposition GROUP BY reason

-- query: sum_results
-- Sums what came of the contacts of the last runs of the same provider, CRM and lane.
SELECT SUM(n.invalid) AS invalid, SUM(n.unmatched) AS unmatched, SUM(n.known) AS known FROM (
    SELECT invalid, unmatched, known FROM enrichment_runs
    WHERE provider = :provider AND crm = :crm AND lane = :lane AND run_id <> :run_id AND state = 'closed'
        AND claimed > 0 AND alert_kind NOT IN ('invalid', 'unmatched')
    ORDER BY finished_at DESC LIMIT 10) n

-- query: blank_ledger
-- Takes the requests and the domain of the address from the ledger of an erased contact, and says why there are none.
UPDATE record_ledger SET request_key = 'erased', email_domain = NULL
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_usage
-- Deletes what was counted of a run's use of its providers.
DELETE FROM provider_usage WHERE run_id = :run_id

-- query: keep_usage
-- Counts a run's replies and credits by provider, outcome and API version, with the last reply of each.
INSERT INTO provider_usage (run_id, provider, outcome, api_version, replies, credits, request_id, last_reply_at)
SELECT run_id, provider, outcome, api_version, replies, credits, request_id, received_at
FROM (
    SELECT run_id, provider, outcome, COALESCE(api_version, '') AS api_version, request_id, received_at,
        COUNT(*) OVER (PARTITION BY provider, outcome, COALESCE(api_version, '')) AS replies,
        SUM(credits) OVER (PARTITION BY provider, outcome, COALESCE(api_version, '')) AS credits,
        ROW_NUMBER() OVER (
            PARTITION BY provider, outcome, COALESCE(api_version, '') ORDER BY received_at DESC, request_key) AS place
    FROM provider_replies WHERE run_id = :run_id) r
WHERE place = 1

-- query: read_versions_before
-- Reads the API versions that a provider spoke in the last other run that it answered.
SELECT DISTINCT api_version FROM provider_usage
WHERE provider = :provider AND api_version <> '' AND run_id = (
    SELECT run_id FROM provider_usage WHERE provider = :provider AND run_id <> :run_id AND api_version <> ''
    ORDER BY last_reply_at DESC LIMIT 1)
ORDER BY api_version

-- query: read_written
-- Reads the changes of a run that the CRM holds.
SELECT w.crm_id, w.field, w.before, COALESCE(w.after, '') AS after FROM crm_writes w
WHERE w.run_id = :run_id AND w.crm = :crm AND w.object_type = :object_type
    AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
ORDER BY w.crm_id, w.field

-- query: read_migrations
-- Reads which migrations were applied.
SELECT version FROM schema_migrations

-- query: seal_plan
-- Keeps the digest of a plan's changes.
UPDATE change_plans SET digest = :digest WHERE plan_id = :plan_id AND state = 'waiting'

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

-- query: take_planned
-- Notes which changes of a plan a run has taken, by its claim.
UPDATE planned_changes SET taken_by = :run_id
WHERE plan_id = :plan_id AND record_id IN (SELECT s.record_id FROM enrichment_staging s WHERE s.claimed_by = :token)

-- query: release_planned
-- Lets the contacts of a plan that wait for its approval be claimed by any run.
UPDATE enrichment_staging SET not_before = NULL
WHERE claimed_by IS NULL AND record_id IN (SELECT p.record_id FROM planned_changes p WHERE p.plan_id = :plan_id)

-- query: forget_planned
-- Deletes the planned changes of a contact.
DELETE FROM planned_changes WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: count_run_changes
-- Counts the contacts and the values that a run writes, and how many of these replace another value.
SELECT COUNT(DISTINCT crm_id) AS contacts, COUNT(field) AS total, COUNT(before) AS overwritten FROM crm_writes
WHERE run_id = :run_id AND NOT is_undo

-- part: count_old
-- Counts the rows of a table that the cleanup deletes. Which those are is said below, by table and key, once for
-- counting and for deleting; each engine says how it counts back the days.
SELECT COUNT(*) AS records FROM {table}
WHERE {old}

-- old: provider_replies (provider, request_key)
received_at < {ago}
    AND request_key NOT IN (SELECT s.request_key FROM enrichment_staging s WHERE s.request_key IS NOT NULL)

-- old: enrichment_history (crm, object_type, crm_id, provider, enrichment_timestamp)
enrichment_timestamp < {ago}

-- old: crm_writes (crm, object_type, crm_id, field, run_id)
-- The last confirmed write of each field stays, which tells our value from a person's; so do open ones.
written_at < {ago} AND EXISTS (
    SELECT 1 FROM crm_writes w
    WHERE w.crm = crm_writes.crm AND w.object_type = crm_writes.object_type AND w.crm_id = crm_writes.crm_id
        AND w.field = crm_writes.field AND w.written_at > crm_writes.written_at)

-- old: planned_changes (plan_id, crm, object_type, crm_id, field)
planned_at < {ago}

-- old: change_plans (plan_id)
made_at < {ago}

-- old: record_ledger (record_id)
-- The last row of each contact stays, by which an intake knows that the contact was queued before.
finished_at < {ago} AND EXISTS (
    SELECT 1 FROM record_ledger l
    WHERE l.crm = record_ledger.crm AND l.object_type = record_ledger.object_type AND l.crm_id = record_ledger.crm_id
        AND l.finished_at > record_ledger.finished_at)

-- old: field_refusals (crm, object_type, crm_id, field, run_id, refused_at)
refused_at < {ago}

-- old: unmatched_records (crm, object_type, crm_id, provider)
-- What no person has reviewed stays.
reviewed_at < {ago}

-- old: failed_records (record_id)
-- What was not put back into the queue stays.
replayed_at < {ago}

-- old: enrichment_runs (run_id)
-- A run stays while a queued contact or a dead letter that waits names it.
finished_at < {ago} AND state <> 'open'
    AND run_id NOT IN (SELECT s.claim_run_id FROM enrichment_staging s WHERE s.claim_run_id IS NOT NULL)
    AND run_id NOT IN (SELECT f.run_id FROM failed_records f WHERE f.replayed_at IS NULL)

-- old: provider_usage (run_id, provider, outcome, api_version)
last_reply_at < {ago}

-- old: doubtful_credits (provider, run_id, noted_at)
noted_at < {ago}

-- old: lookup_reservations (provider, request_key)
-- The row without a provider stays: reservations wait for each other there.
provider <> '' AND reserved_until < {ago}

-- old: event_cursors (name)
-- Listeners and intakes begin at theirs, however old; a backfill begins again.
updated_at < {ago} AND SUBSTR(name, 1, 9) = 'backfill:'

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
