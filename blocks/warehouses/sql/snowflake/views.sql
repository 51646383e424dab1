-- What analysts read: free of raw replies and of personal data. PostgreSQL's file says what each column means.
-- LEFT changes nothing here; the stand-in of the tests leaves the format out. ISO's day of the week is Monday's for all.

-- migration: 0002 views for analysts
-- How each queued contact ended, without anything of the person.
CREATE VIEW IF NOT EXISTS contact_results AS
SELECT
    l.crm,
    l.object_type,
    l.crm_id,
    l.disposition AS result,
    l.reason,
    CASE
        WHEN l.disposition IN ('written', 'unchanged') THEN 1
        WHEN l.disposition = 'unmatched' THEN 0
    END AS matched,
    l.source,
    l.lane,
    l.email_domain,
    l.attempts,
    ROUND(DATEDIFF(millisecond, l.contact_created_at, l.finished_at) / 1000)::INTEGER AS seconds_from_created,
    ROUND(DATEDIFF(millisecond, l.staged_at, l.finished_at) / 1000)::INTEGER AS seconds_from_queued,
    l.finished_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(l.finished_at), l.finished_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(l.finished_at, 'YYYY-MM'), 7) AS month,
    l.run_id
FROM record_ledger l;

-- What each provider that was asked about a contact knew, of the contacts that count in the match rate.
CREATE VIEW IF NOT EXISTS provider_results AS
SELECT
    p.provider,
    CASE WHEN ',' || l.lookups || ',' LIKE '%,' || p.provider || ' matched,%' THEN 1 ELSE 0 END AS matched,
    l.crm,
    l.object_type,
    l.crm_id,
    l.source,
    l.lane,
    l.email_domain,
    l.finished_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(l.finished_at), l.finished_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(l.finished_at, 'YYYY-MM'), 7) AS month
FROM record_ledger l
JOIN (SELECT provider FROM provider_usage UNION SELECT provider FROM provider_replies) p
    ON ',' || l.lookups || ',' LIKE '%,' || p.provider || ' %'
WHERE l.disposition IN ('written', 'unchanged', 'unmatched');

-- How many results have each field, by week and provider.
CREATE VIEW IF NOT EXISTS field_fill AS
SELECT
    h.provider,
    h.field,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(h.enrichment_timestamp), h.enrichment_timestamp), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(h.enrichment_timestamp, 'YYYY-MM'), 7) AS month,
    COUNT(*) AS results,
    SUM(h.filled) AS filled
FROM (
    SELECT h.provider, h.enrichment_timestamp, 'company_name' AS field,
        CASE WHEN h.company_name IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'employee_count' AS field,
        CASE WHEN h.employee_count IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'industry' AS field,
        CASE WHEN h.industry IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'tech_stack' AS field,
        CASE WHEN ARRAY_SIZE(h.tech_stack) > 0 THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'linkedin_url' AS field,
        CASE WHEN h.linkedin_url IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'intent_keywords' AS field,
        CASE WHEN ARRAY_SIZE(h.intent_keywords) > 0 THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h) h
GROUP BY h.provider, h.field,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(h.enrichment_timestamp), h.enrichment_timestamp), 'YYYY-MM-DD'), 10),
    LEFT(TO_CHAR(h.enrichment_timestamp, 'YYYY-MM'), 7);

-- What providers billed, by run, outcome and API version; with money where the price book has a price.
CREATE VIEW IF NOT EXISTS spending AS
SELECT
    u.run_id,
    u.provider,
    u.outcome,
    u.api_version,
    u.replies,
    u.credits,
    u.credits * c.price AS cost,
    c.currency,
    u.last_reply_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(u.last_reply_at), u.last_reply_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(u.last_reply_at, 'YYYY-MM'), 7) AS month
FROM (
    SELECT s.run_id, s.provider, s.outcome, s.api_version, s.replies, s.credits, s.last_reply_at FROM provider_usage s
    UNION ALL
    SELECT r.run_id, r.provider, r.outcome, COALESCE(r.api_version, '') AS api_version, COUNT(*) AS replies,
        SUM(r.credits) AS credits, MAX(r.received_at) AS last_reply_at
    FROM provider_replies r
    LEFT JOIN (SELECT DISTINCT run_id FROM provider_usage) k ON k.run_id = r.run_id
    WHERE k.run_id IS NULL
    GROUP BY r.run_id, r.provider, r.outcome, COALESCE(r.api_version, '')) u
LEFT JOIN credit_prices c ON c.provider = u.provider AND c.valid_from <= u.last_reply_at
    AND (c.valid_until IS NULL OR c.valid_until > u.last_reply_at);

-- What was known of the company of each contact, and from when until when: history as of any date.
CREATE VIEW IF NOT EXISTS company_history AS
SELECT
    h.crm,
    h.object_type,
    h.crm_id,
    h.provider,
    h.confidence,
    h.company_name,
    h.employee_count,
    h.industry,
    h.tech_stack,
    h.intent_keywords,
    h.enrichment_timestamp AS valid_from,
    LEAD(h.enrichment_timestamp) OVER (
        PARTITION BY h.crm, h.object_type, h.crm_id ORDER BY h.enrichment_timestamp) AS valid_until
FROM enrichment_history h;

-- Each value that the CRM has taken from us, without the value.
CREATE VIEW IF NOT EXISTS written_fields AS
SELECT
    w.crm,
    w.object_type,
    w.crm_id,
    w.field,
    CASE WHEN w.before IS NULL OR w.before = '' THEN 1 ELSE 0 END AS was_blank,
    CASE WHEN w.reverted_at IS NULL THEN 0 ELSE 1 END AS reverted,
    w.written_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(w.written_at), w.written_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(w.written_at, 'YYYY-MM'), 7) AS month,
    w.run_id
FROM crm_writes w
WHERE w.written_at IS NOT NULL AND NOT w.is_undo;

-- Which fields of each contact had a value in the CRM before our first write, and have one now; of the fields that we write.
CREATE VIEW IF NOT EXISTS crm_completeness AS
SELECT
    l.crm,
    l.object_type,
    l.crm_id,
    f.field,
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' THEN 1 ELSE 0 END AS filled_before,
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' OR w.crm_id IS NOT NULL THEN 1 ELSE 0 END AS filled_now,
    l.finished_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(l.finished_at), l.finished_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(l.finished_at, 'YYYY-MM'), 7) AS month
FROM (
    SELECT n.crm, n.object_type, n.crm_id, n.filled_before, n.finished_at,
        ROW_NUMBER() OVER (PARTITION BY n.crm, n.object_type, n.crm_id ORDER BY n.finished_at, LENGTH(n.filled_before)) AS place
    FROM record_ledger n WHERE n.filled_before IS NOT NULL) l
JOIN (SELECT DISTINCT crm, object_type, field FROM crm_writes WHERE written_at IS NOT NULL) f
    ON f.crm = l.crm AND f.object_type = l.object_type
LEFT JOIN (
    SELECT DISTINCT crm, object_type, crm_id, field FROM crm_writes
    WHERE written_at IS NOT NULL AND reverted_at IS NULL AND NOT is_undo) w
    ON w.crm = l.crm AND w.object_type = l.object_type AND w.crm_id = l.crm_id AND w.field = f.field
WHERE l.place = 1;

-- The totals of each run, with the week and the month in which it began.
CREATE VIEW IF NOT EXISTS run_totals AS
SELECT
    n.run_id,
    n.provider,
    n.crm,
    n.lane,
    n.state,
    COALESCE(n.stop_kind, '') AS stop_kind,
    COALESCE(n.alert_kind, '') AS alert_kind,
    n.claimed,
    n.returned,
    n.failure_rate,
    ROUND(DATEDIFF(millisecond, n.started_at, n.finished_at) / 1000)::INTEGER AS seconds,
    n.started_at,
    LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO(n.started_at), n.started_at), 'YYYY-MM-DD'), 10) AS week,
    LEFT(TO_CHAR(n.started_at, 'YYYY-MM'), 7) AS month
FROM enrichment_runs n
