-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
MERGE INTO enrichment_runs t USING (SELECT :run_id AS run_id) s ON t.run_id = s.run_id
WHEN MATCHED THEN UPDATE SET state = 'open', seen_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
    VALUES (s.run_id, :flow_run_name, :provider, :crm, :lane, 'open', SYSDATE(), SYSDATE())

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

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
MERGE INTO credit_prices t USING (
    SELECT :provider AS provider, COALESCE(MAX(valid_until), CAST('1970-01-01T00:00:00' AS TIMESTAMP_NTZ)) AS valid_from FROM credit_prices
    WHERE provider = :provider) s
ON t.provider = s.provider AND t.valid_until IS NULL
WHEN NOT MATCHED THEN INSERT (provider, price, currency, valid_from)
    VALUES (s.provider, :price, :currency, s.valid_from)
