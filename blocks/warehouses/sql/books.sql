-- What a run has done, and how contacts ended.

-- query: abandon_runs
-- Closes the books of runs that were not seen for two leases.
UPDATE enrichment_runs SET state = 'abandoned', finished_at = {now}
WHERE state = 'open' AND seen_at < {steady_in:-2 * :lease_seconds}

-- query: mark_run_seen
-- Notes that a run is alive.
UPDATE enrichment_runs SET seen_at = {steady} WHERE run_id = :run_id

-- query: count_claimed
-- Adds to the records that a run has claimed.
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = {steady} WHERE run_id = :run_id

-- query: count_returned
-- Adds to the records that a run has put back.
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = {steady} WHERE run_id = :run_id

-- query: close_run
-- Closes a run's books.
UPDATE enrichment_runs SET
    state = :state,
    finished_at = {now},
    failure_rate = :failure_rate,
    credits = :credits,
    api_versions = {given_json::api_versions},
    stop_kind = :stop_kind,
    alert_kind = :alert_kind,
    alert_sent = :alert_sent,
    alert_state = :alert_state,
    invalid = :invalid,
    unmatched = :unmatched,
    known = :known
WHERE run_id = :run_id

-- query: cancel_run
-- Notes that a run is cancelled while it still works.
UPDATE enrichment_runs SET state = 'cancelled' WHERE run_id = :run_id AND state = 'open'

-- query: read_run
-- Reads a run's books.
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state, {read:n.started_at} AS started_at,
    {read:n.seen_at} AS seen_at, {read:n.finished_at} AS finished_at,
    n.claimed, n.returned, n.failure_rate, n.credits, {json:n.api_versions} AS api_versions, n.stop_kind,
    n.alert_kind, n.alert_sent,
    n.alert_state
FROM enrichment_runs n WHERE n.run_id = :run_id

-- query: read_run_state
-- Reads whether a run's books are open.
SELECT state FROM enrichment_runs WHERE run_id = :run_id

-- query: read_last_run
-- Reads the last run of the same provider and CRM whose state people know.
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state, {read:n.started_at} AS started_at,
    {read:n.seen_at} AS seen_at, {read:n.finished_at} AS finished_at,
    n.claimed, n.returned, n.failure_rate, n.credits, {json:n.api_versions} AS api_versions, n.stop_kind,
    n.alert_kind, n.alert_sent,
    n.alert_state
FROM enrichment_runs n
WHERE n.provider = :provider AND n.crm = :crm AND n.run_id <> :run_id AND n.state IN ('closed', 'failed')
    AND (n.claimed > 0 OR n.alert_kind <> '')
    AND (n.alert_kind = '' OR n.alert_sent)
ORDER BY n.finished_at DESC LIMIT 1

-- query: read_fresh
-- Reads the requests that led to what was written lately; the last row of a contact is the latest.
SELECT l.crm_id, l.request_key FROM record_ledger l
WHERE l.crm = :crm AND l.object_type = :object_type AND l.crm_id {among::ids}
    AND l.disposition IN ('written', 'unchanged') AND l.finished_at > {ago::fresh_days}
ORDER BY l.finished_at

-- query: count_ended
-- Counts by disposition which of these records a run has ended.
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id {among::ids} GROUP BY disposition

-- query: read_ended
-- Reads which of these contacts have ended before, however that was.
SELECT DISTINCT crm_id FROM record_ledger WHERE crm = :crm AND object_type = :object_type AND crm_id {among::ids}

-- query: count_dispositions
-- Counts a run's ended records by disposition.
SELECT disposition, COUNT(*) AS records FROM record_ledger WHERE run_id = :run_id GROUP BY disposition

-- query: count_reasons
-- Counts a run's records of one disposition by reason.
SELECT reason, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND disposition = :disposition GROUP BY reason

-- query: count_refusals
-- Counts the values that a run's CRM fields refused, by field and reason, with the most frequent values of each.
SELECT c.field, c.reason, c.value, c.contacts, c.total FROM (
    SELECT r.field, r.reason, r.value, COUNT(*) AS contacts,
        SUM(COUNT(*)) OVER (PARTITION BY r.field, r.reason) AS total,
        ROW_NUMBER() OVER (PARTITION BY r.field, r.reason ORDER BY COUNT(*) DESC, r.value) AS place
    FROM field_refusals r WHERE r.run_id = :run_id GROUP BY r.field, r.reason, r.value) c
WHERE c.place <= 10 ORDER BY c.total DESC, c.field, c.reason, c.place

-- query: sum_results
-- Sums what came of the contacts of the last runs of the same provider, CRM and lane.
SELECT SUM(n.invalid) AS invalid, SUM(n.unmatched) AS unmatched, SUM(n.known) AS known FROM (
    SELECT invalid, unmatched, known FROM enrichment_runs
    WHERE provider = :provider AND crm = :crm AND lane = :lane AND run_id <> :run_id AND state = 'closed'
        AND claimed > 0 AND alert_kind NOT IN ('invalid', 'unmatched')
    ORDER BY finished_at DESC LIMIT 10) n

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

-- query: read_usage
-- Reads what was counted of a run's use of its providers.
SELECT provider, outcome, api_version, replies, credits, request_id, {read:last_reply_at} AS last_reply_at
    FROM provider_usage
WHERE run_id = :run_id ORDER BY provider, outcome, api_version

-- query: read_versions_before
-- Reads the API versions that a provider spoke in the last other run that it answered.
SELECT DISTINCT api_version FROM provider_usage
WHERE provider = :provider AND api_version <> '' AND run_id = (
    SELECT run_id FROM provider_usage WHERE provider = :provider AND run_id <> :run_id AND api_version <> ''
    ORDER BY last_reply_at DESC LIMIT 1)
ORDER BY api_version

-- query: end_price
-- Ends the present price of a provider's credits if it is another one by now.
UPDATE credit_prices SET valid_until = {now}
WHERE provider = :provider AND valid_until IS NULL AND (price <> :price OR currency <> :currency)
