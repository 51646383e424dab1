-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
UPDATE enrichment_runs SET state = 'open', seen_at = GETDATE() WHERE run_id = :run_id;
INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
SELECT :run_id, :flow_run_name, :provider, :crm, :lane, 'open', GETDATE(), GETDATE()
WHERE NOT EXISTS (SELECT 1 FROM enrichment_runs n WHERE n.run_id = :run_id)

-- query: write_ledger
-- Keeps how the claim's records ended, one row each.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO record_ledger (record_id, crm, object_type, crm_id, disposition, reason, request_key, lane, source,
    attempts,
    contact_created_at, staged_at, finished_at, run_id, lookups, email_domain, filled_before)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, r.disposition, r.reason,
    COALESCE(NULLIF(r.request_key, ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, GETDATE(), :run_id,
    COALESCE(NULLIF(r.lookups, ''), s.lookups), COALESCE(NULLIF(r.email_domain, ''), s.email_domain),
    NULLIF(r.filled_before, '')
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = s.record_id)

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
INSERT INTO credit_prices (provider, price, currency, valid_from)
SELECT :provider, :price::double precision, :currency, COALESCE(p.ended_at, '1970-01-01 00:00:00'::TIMESTAMP) FROM (
    SELECT MAX(valid_until) AS ended_at, COUNT(*) - COUNT(valid_until) AS present FROM credit_prices
    WHERE provider = :provider) p
WHERE p.present = 0
