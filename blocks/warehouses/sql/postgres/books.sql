-- query: open_run
-- Opens a run's books, or opens them again.
-- differs because of the clock and how rows are merged
INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
VALUES (:run_id, :flow_run_name, :provider, :crm, :lane, 'open', now(),
    now())
ON CONFLICT (run_id) DO UPDATE SET state = 'open', seen_at = excluded.seen_at

-- query: write_ledger
-- Keeps how the claim's records ended, one row each.
-- differs because of the clock and how a list is unpacked
INSERT INTO record_ledger (record_id, crm, object_type, crm_id, disposition, reason, request_key, lane, source,
    attempts,
    contact_created_at, staged_at, finished_at, run_id, lookups, email_domain, filled_before)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, r.value ->> 'disposition', r.value ->> 'reason',
    COALESCE(NULLIF(r.value ->> 'request_key', ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, now(), :run_id,
    COALESCE(NULLIF(r.value ->> 'lookups', ''), s.lookups),
    COALESCE(NULLIF(r.value ->> 'email_domain', ''), s.email_domain),
    NULLIF(r.value ->> 'filled_before', '')
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token

-- query: begin_price
-- Keeps a provider's price, unless it has a present one; the first holds for the past, too.
-- differs because of the types and how rows are merged
INSERT INTO credit_prices (provider, price, currency, valid_from)
SELECT :provider::text, :price::double precision, :currency::text,
    COALESCE(p.ended_at, '1970-01-01T00:00:00Z'::timestamptz)
FROM (
    SELECT MAX(valid_until) AS ended_at, COUNT(*) - COUNT(valid_until) AS present FROM credit_prices
    WHERE provider = :provider) p
WHERE p.present = 0
ON CONFLICT (provider, valid_from) DO NOTHING
