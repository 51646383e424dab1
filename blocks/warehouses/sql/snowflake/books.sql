-- query: abandon_runs
-- Closes the books of runs that were not seen for two leases.
-- differs because of the clock
UPDATE enrichment_runs SET state = 'abandoned', finished_at = SYSDATE()
WHERE state = 'open' AND seen_at < DATEADD(second, -2 * :lease_seconds, SYSDATE())

-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
MERGE INTO enrichment_runs t USING (SELECT :run_id AS run_id) s ON t.run_id = s.run_id
WHEN MATCHED THEN UPDATE SET state = 'open', seen_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
    VALUES (s.run_id, :flow_run_name, :provider, :crm, :lane, 'open', SYSDATE(), SYSDATE())

-- query: close_run
-- Closes a run's books.
-- differs because of the clock and how JSON is kept
UPDATE enrichment_runs SET state = :state, finished_at = SYSDATE(), failure_rate = :failure_rate, credits = :credits,
    api_versions = PARSE_JSON(:api_versions), stop_kind = :stop_kind, alert_kind = :alert_kind, alert_sent = :alert_sent,
    alert_state = :alert_state, invalid = :invalid, unmatched = :unmatched, known = :known
WHERE run_id = :run_id

-- query: read_run
-- Reads a run's books.
-- differs because of how a time is read
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state,
    DATE_PART(epoch_millisecond, n.started_at) AS started_at, DATE_PART(epoch_millisecond, n.seen_at) AS seen_at,
    DATE_PART(epoch_millisecond, n.finished_at) AS finished_at, n.claimed, n.returned, n.failure_rate, n.credits,
    n.api_versions, n.stop_kind, n.alert_kind, n.alert_sent, n.alert_state
FROM enrichment_runs n WHERE n.run_id = :run_id

-- query: read_last_run
-- Reads the last run of the same provider and CRM whose state people know.
-- differs because of how a time is read
SELECT n.run_id, n.flow_run_name, n.provider, n.crm, n.lane, n.state,
    DATE_PART(epoch_millisecond, n.started_at) AS started_at, DATE_PART(epoch_millisecond, n.seen_at) AS seen_at,
    DATE_PART(epoch_millisecond, n.finished_at) AS finished_at, n.claimed, n.returned, n.failure_rate, n.credits,
    n.api_versions, n.stop_kind, n.alert_kind, n.alert_sent, n.alert_state
FROM enrichment_runs n
WHERE n.provider = :provider AND n.crm = :crm AND n.run_id <> :run_id AND n.state IN ('closed', 'failed')
    AND (n.claimed > 0 OR n.alert_kind <> '')
    AND (n.alert_kind = '' OR n.alert_sent)
ORDER BY n.finished_at DESC LIMIT 1

-- query: count_claimed
-- Adds to the records that a run has claimed.
-- differs because of the clock
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = SYSDATE() WHERE run_id = :run_id

-- query: count_returned
-- Adds to the records that a run has put back.
-- differs because of the clock
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = SYSDATE() WHERE run_id = :run_id

-- query: mark_run_seen
-- Notes that a run is alive.
-- differs because of the clock
UPDATE enrichment_runs SET seen_at = SYSDATE() WHERE run_id = :run_id

-- query: count_runs_at_work
-- Counts by lane the runs that hold a claim, at a provider and at a CRM.
-- differs because of the clock
SELECT r.lane,
    COUNT(DISTINCT CASE WHEN CONTAINS(',' || REPLACE(r.provider, ' ', '') || ',', ',' || :provider || ',')
        THEN r.run_id END) AS at_provider,
    COUNT(DISTINCT CASE WHEN r.crm = :crm THEN r.run_id END) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE s.claim_expires_at >= SYSDATE()
GROUP BY r.lane

-- query: write_ledger
-- Keeps how the claim's records ended, one row each.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO record_ledger t USING (
    SELECT s.record_id, s.crm, s.object_type, s.crm_id, r.disposition, r.reason,
        COALESCE(NULLIF(r.request_key, ''), s.request_key, '') AS request_key,
        s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at,
        COALESCE(NULLIF(r.lookups, ''), s.lookups) AS lookups,
        COALESCE(NULLIF(r.email_domain, ''), s.email_domain) AS email_domain,
        NULLIF(r.filled_before, '') AS filled_before
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['disposition']::VARCHAR AS disposition,
            f.value['reason']::VARCHAR AS reason, f.value['request_key']::VARCHAR AS request_key,
            f.value['lookups']::VARCHAR AS lookups, f.value['email_domain']::VARCHAR AS email_domain,
            f.value['filled_before']::VARCHAR AS filled_before
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token
    QUALIFY ROW_NUMBER() OVER (PARTITION BY s.record_id ORDER BY s.staged_at) = 1) s
ON t.record_id = s.record_id
WHEN NOT MATCHED THEN INSERT (record_id, crm, object_type, crm_id, disposition, reason, request_key, lane, source,
    attempts,
    contact_created_at, staged_at, finished_at, run_id, lookups, email_domain, filled_before)
    VALUES (s.record_id, s.crm, s.object_type, s.crm_id, s.disposition, s.reason, s.request_key, s.lane, s.source,
        s.attempts,
    s.contact_created_at, s.staged_at, SYSDATE(), :run_id, s.lookups, s.email_domain, s.filled_before)

-- query: count_ended
-- Counts by disposition which of these records a run has ended.
-- differs because of how a list is unpacked
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)
GROUP BY disposition

-- query: read_ended
-- Reads which of these contacts have ended before, however that was.
-- differs because of how a list is unpacked
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND object_type = :object_type
    AND crm_id IN (SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: read_fresh
-- Reads the requests that led to what was written lately; the last row of a contact is the latest.
-- differs because of the clock and how a list is unpacked
SELECT l.crm_id, l.request_key FROM record_ledger l
WHERE l.crm = :crm AND l.object_type = :object_type AND l.crm_id IN (
        SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)
    AND l.disposition IN ('written', 'unchanged')
    AND l.finished_at > DATEADD(day, -1 * :fresh_days, SYSDATE())
ORDER BY l.finished_at

-- query: read_usage
-- Reads what was counted of a run's use of its providers.
-- differs because of how a time is read
SELECT provider, outcome, api_version, replies, credits, request_id,
    DATE_PART(epoch_millisecond, last_reply_at) AS last_reply_at FROM provider_usage
WHERE run_id = :run_id ORDER BY provider, outcome, api_version

-- query: end_price
-- Ends the present price of a provider's credits if it is another one by now.
-- differs because of the clock
UPDATE credit_prices SET valid_until = SYSDATE()
WHERE provider = :provider AND valid_until IS NULL AND (price <> :price OR currency <> :currency)

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
MERGE INTO credit_prices t USING (
    SELECT :provider AS provider, COALESCE(MAX(valid_until), CAST('1970-01-01T00:00:00' AS TIMESTAMP_NTZ)) AS valid_from FROM credit_prices
    WHERE provider = :provider) s
ON t.provider = s.provider AND t.valid_until IS NULL
WHEN NOT MATCHED THEN INSERT (provider, price, currency, valid_from)
    VALUES (s.provider, :price, :currency, s.valid_from)
