-- query: abandon_runs
-- Closes the books of runs that were not seen for two leases.
-- differs because of the clock
UPDATE enrichment_runs SET state = 'abandoned', finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE state = 'open' AND seen_at < steady(-2 * :lease_seconds)

-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
VALUES (:run_id, :flow_run_name, :provider, :crm, :lane, 'open', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), steady(0))
ON CONFLICT (run_id) DO UPDATE SET state = 'open', seen_at = excluded.seen_at

-- query: close_run
-- Closes a run's books.
-- differs because of the clock
UPDATE enrichment_runs SET state = :state, finished_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
    failure_rate = :failure_rate, credits = :credits, api_versions = :api_versions, stop_kind = :stop_kind,
    alert_kind = :alert_kind, alert_sent = :alert_sent, alert_state = :alert_state, invalid = :invalid,
    unmatched = :unmatched, known = :known
WHERE run_id = :run_id

-- query: read_run
-- Reads a run's books.
-- differs because another engine differs in how JSON is kept and how a time is read
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state, n.started_at, n.seen_at, n.finished_at,
    n.claimed, n.returned, n.failure_rate, n.credits, n.api_versions, n.stop_kind, n.alert_kind, n.alert_sent,
    n.alert_state
FROM enrichment_runs n WHERE n.run_id = :run_id

-- query: read_last_run
-- Reads the last run of the same provider and CRM whose state people know.
-- differs because another engine differs in how JSON is kept and how a time is read
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state, n.started_at, n.seen_at, n.finished_at,
    n.claimed, n.returned, n.failure_rate, n.credits, n.api_versions, n.stop_kind, n.alert_kind, n.alert_sent,
    n.alert_state
FROM enrichment_runs n
WHERE n.provider = :provider AND n.crm = :crm AND n.run_id <> :run_id AND n.state IN ('closed', 'failed')
    AND (n.claimed > 0 OR n.alert_kind <> '')
    AND (n.alert_kind = '' OR n.alert_sent)
ORDER BY n.finished_at DESC LIMIT 1

-- query: count_claimed
-- Adds to the records that a run has claimed.
-- differs because of the clock
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = steady(0)
WHERE run_id = :run_id

-- query: count_returned
-- Adds to the records that a run has put back.
-- differs because of the clock
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = steady(0)
WHERE run_id = :run_id

-- query: mark_run_seen
-- Notes that a run is alive.
-- differs because of the clock
UPDATE enrichment_runs SET seen_at = steady(0) WHERE run_id = :run_id

-- query: count_runs_at_work
-- Counts by lane the runs that hold a claim, at a provider and at a CRM.
-- differs because of the clock
SELECT r.lane,
    COUNT(DISTINCT CASE WHEN instr(',' || REPLACE(r.provider, ' ', '') || ',', ',' || :provider || ',') > 0
        THEN r.run_id END) AS at_provider,
    COUNT(DISTINCT CASE WHEN r.crm = :crm THEN r.run_id END) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE s.claimed_by IS NOT NULL AND s.claim_expires_at >= steady(0)
GROUP BY r.lane

-- query: write_ledger
-- Keeps how the claim's records ended, one row each.
-- differs because of the clock and how a list is unpacked
INSERT INTO record_ledger (record_id, crm, object_type, crm_id, disposition, reason, request_key, lane, source,
    attempts,
    contact_created_at, staged_at, finished_at, run_id, lookups, email_domain, filled_before)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, r.value ->> 'disposition', r.value ->> 'reason',
    COALESCE(NULLIF(r.value ->> 'request_key', ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), :run_id,
    COALESCE(NULLIF(r.value ->> 'lookups', ''), s.lookups),
    COALESCE(NULLIF(r.value ->> 'email_domain', ''), s.email_domain),
    NULLIF(r.value ->> 'filled_before', '')
FROM json_each(:rows) r CROSS JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token

-- query: count_ended
-- Counts by disposition which of these records a run has ended.
-- differs because of how a list is unpacked
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN (SELECT value FROM json_each(:ids)) GROUP BY disposition

-- query: read_ended
-- Reads which of these contacts have ended before, however that was.
-- differs because of how a list is unpacked
SELECT DISTINCT crm_id FROM record_ledger WHERE crm = :crm AND object_type = :object_type
    AND crm_id IN (SELECT value FROM json_each(:ids))

-- query: read_fresh
-- Reads the requests that led to what was written lately; the last row of a contact is the latest.
-- differs because of the clock and how a list is unpacked
SELECT l.crm_id, l.request_key FROM record_ledger l
WHERE l.crm = :crm AND l.object_type = :object_type AND l.crm_id IN (SELECT value FROM json_each(:ids))
    AND l.disposition IN ('written', 'unchanged')
    AND l.finished_at > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || :fresh_days || ' days')
ORDER BY l.finished_at

-- query: read_usage
-- Reads what was counted of a run's use of its providers.
-- differs because another engine differs in how a time is read
SELECT provider, outcome, api_version, replies, credits, request_id, last_reply_at FROM provider_usage
WHERE run_id = :run_id ORDER BY provider, outcome, api_version

-- query: end_price
-- Ends the present price of a provider's credits if it is another one by now.
-- differs because of the clock
UPDATE credit_prices SET valid_until = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE provider = :provider AND valid_until IS NULL AND (price <> :price OR currency <> :currency)

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
INSERT INTO credit_prices (provider, price, currency, valid_from)
SELECT :provider, :price, :currency, COALESCE(p.ended_at, '1970-01-01T00:00:00.000Z') FROM (
    SELECT MAX(valid_until) AS ended_at, COUNT(*) - COUNT(valid_until) AS present FROM credit_prices
    WHERE provider = :provider) p
WHERE p.present = 0
