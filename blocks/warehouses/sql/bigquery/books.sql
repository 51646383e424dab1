-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
MERGE enrichment_runs n USING (SELECT :run_id AS run_id) r ON n.run_id = r.run_id
WHEN MATCHED THEN UPDATE SET state = 'open', seen_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT
    (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, claimed, returned)
    VALUES (r.run_id, :flow_run_name, :provider, :crm, :lane, 'open', CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP(), 0, 0)

-- query: write_ledger
-- Keeps how the claim's records ended, one row each.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO record_ledger (record_id, crm, object_type, crm_id, disposition, reason, request_key, lane, source,
    attempts,
    contact_created_at, staged_at, finished_at, run_id, lookups, email_domain, filled_before)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, r.disposition, r.reason,
    COALESCE(NULLIF(r.request_key, ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, CURRENT_TIMESTAMP(), :run_id,
    COALESCE(NULLIF(r.lookups, ''), s.lookups), COALESCE(NULLIF(r.email_domain, ''), s.email_domain),
    NULLIF(r.filled_before, '')
FROM (
    SELECT JSON_VALUE(value, '$.disposition') AS disposition, JSON_VALUE(value, '$.reason') AS reason,
        JSON_VALUE(value, '$.request_key') AS request_key, JSON_VALUE(value, '$.record_id') AS record_id,
        JSON_VALUE(value, '$.lookups') AS lookups, JSON_VALUE(value, '$.email_domain') AS email_domain,
        JSON_VALUE(value, '$.filled_before') AS filled_before
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = s.record_id)

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
MERGE credit_prices t USING (
    SELECT :provider AS provider, COALESCE(MAX(valid_until), TIMESTAMP('1970-01-01 00:00:00')) AS valid_from FROM credit_prices
    WHERE provider = :provider) s
ON t.provider = s.provider AND t.valid_until IS NULL
WHEN NOT MATCHED THEN INSERT (provider, price, currency, valid_from)
    VALUES (s.provider, :price, :currency, s.valid_from)
