-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
CREATE TABLE IF NOT EXISTS schema_migrations (
    version TEXT NOT NULL,
    applied_at TEXT NOT NULL
);
CREATE TABLE enrichment_staging (
    record_id TEXT PRIMARY KEY,
    crm_id TEXT NOT NULL,
    email_address TEXT,
    processed_at TEXT,
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    source TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before TEXT,
    claimed_by TEXT,
    claim_run_id TEXT,
    claim_expires_at TEXT,
    staged_at TEXT NOT NULL,
    contact_created_at TEXT,
    request_key TEXT,
    changed_at TEXT,
    refresh INTEGER NOT NULL DEFAULT 0,
    lookups TEXT,
    email_domain TEXT,
    CHECK (lane IN ('live', 'backfill')),
    CHECK (state IN ('waiting', 'claimed', 'enriched')),
    CHECK (state <> 'claimed' OR claimed_by IS NOT NULL),
    UNIQUE (crm, object_type, crm_id)
);
CREATE INDEX staging_order ON enrichment_staging (crm, object_type, lane DESC, staged_at);
CREATE INDEX staging_claims ON enrichment_staging (claimed_by) WHERE claimed_by IS NOT NULL;

CREATE TABLE enriched_contacts (
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    enrichment_timestamp TEXT NOT NULL,
    company_name TEXT,
    employee_count INTEGER,
    industry TEXT,
    tech_stack TEXT,
    linkedin_url TEXT,
    intent_keywords TEXT,
    provider TEXT NOT NULL,
    provider_record_id TEXT,
    confidence REAL,
    attributes TEXT,
    run_id TEXT NOT NULL,
    PRIMARY KEY (crm, object_type, crm_id)
);

CREATE TABLE enrichment_history (
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    enrichment_timestamp TEXT NOT NULL,
    company_name TEXT,
    employee_count INTEGER,
    industry TEXT,
    tech_stack TEXT,
    linkedin_url TEXT,
    intent_keywords TEXT,
    provider TEXT NOT NULL,
    provider_record_id TEXT,
    confidence REAL,
    attributes TEXT,
    run_id TEXT NOT NULL,
    remapped_at TEXT
);
CREATE INDEX history_of_contact ON enrichment_history (crm, object_type, crm_id);

CREATE TABLE unmatched_records (
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    lookup_identifier TEXT,
    reason TEXT NOT NULL,
    provider TEXT NOT NULL,
    run_id TEXT NOT NULL,
    unmatched_at TEXT NOT NULL,
    reviewed_at TEXT,
    PRIMARY KEY (crm, object_type, crm_id, provider)
);

CREATE TABLE provider_replies (
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    reply TEXT,
    outcome TEXT NOT NULL,
    credits REAL NOT NULL DEFAULT 0,
    api_version TEXT,
    request_id TEXT,
    received_at TEXT NOT NULL,
    run_id TEXT NOT NULL,
    paid_before TEXT,
    PRIMARY KEY (provider, request_key)
);
CREATE INDEX replies_of_run ON provider_replies (run_id, outcome, credits);
CREATE INDEX replies_of_day ON provider_replies (provider, received_at, credits);

CREATE TABLE lookup_reservations (
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    reserved_by TEXT NOT NULL,
    reserved_until TEXT NOT NULL,
    run_id TEXT,
    credits REAL,
    PRIMARY KEY (provider, request_key)
) WITHOUT ROWID;
CREATE INDEX reservations_of_claim ON lookup_reservations (reserved_by);

CREATE TABLE crm_writes (
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    run_id TEXT NOT NULL,
    planned_at TEXT NOT NULL,
    written_at TEXT,
    reverted_at TEXT,
    reverted_by TEXT,
    is_undo INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (crm, object_type, crm_id, field, run_id)
) WITHOUT ROWID;
CREATE INDEX undone_values ON crm_writes (crm, object_type, crm_id) WHERE is_undo;

CREATE TABLE crm_profiles (
    crm TEXT NOT NULL,
    profiled_at TEXT NOT NULL,
    contacts INTEGER NOT NULL,
    contacts_read INTEGER NOT NULL,
    counts TEXT NOT NULL,
    PRIMARY KEY (crm, profiled_at)
) WITHOUT ROWID;

CREATE TABLE change_plans (
    plan_id TEXT NOT NULL,
    crm TEXT NOT NULL,
    provider TEXT NOT NULL,
    cause TEXT NOT NULL,
    policy TEXT NOT NULL,
    digest TEXT NOT NULL,
    made_at TEXT NOT NULL,
    made_by TEXT NOT NULL,
    state TEXT NOT NULL,
    decided_at TEXT,
    decided_by TEXT,
    note TEXT,
    PRIMARY KEY (plan_id)
) WITHOUT ROWID;

CREATE TABLE planned_changes (
    plan_id TEXT NOT NULL,
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    record_id TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT NOT NULL,
    rule TEXT NOT NULL,
    source TEXT NOT NULL,
    planned_at TEXT NOT NULL,
    taken_by TEXT,
    PRIMARY KEY (plan_id, crm, object_type, crm_id, field)
) WITHOUT ROWID;
CREATE INDEX planned_of_contact ON planned_changes (crm, object_type, crm_id);

CREATE TABLE failed_records (
    record_id TEXT PRIMARY KEY,
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    email_address TEXT,
    lane TEXT NOT NULL,
    source TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    failed_at TEXT NOT NULL,
    replayed_at TEXT
);

CREATE TABLE field_refusals (
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    value TEXT,
    run_id TEXT NOT NULL,
    refused_at TEXT NOT NULL
);
CREATE INDEX refusals_of_contact ON field_refusals (crm, object_type, crm_id);
CREATE INDEX refusals_of_run ON field_refusals (run_id);

CREATE TABLE record_ledger (
    record_id TEXT PRIMARY KEY,
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    disposition TEXT NOT NULL,
    reason TEXT NOT NULL,
    request_key TEXT NOT NULL,
    lane TEXT NOT NULL,
    source TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    contact_created_at TEXT,
    staged_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    run_id TEXT NOT NULL,
    lookups TEXT,
    email_domain TEXT,
    filled_before TEXT,
    CHECK (disposition IN
            ('written', 'unchanged', 'unmatched', 'suppressed', 'invalid', 'skipped_fresh', 'failed'))
);
CREATE INDEX ledger_of_contact ON record_ledger (crm, object_type, crm_id);
CREATE INDEX ledger_of_run ON record_ledger (run_id);

CREATE TABLE enrichment_runs (
    run_id TEXT PRIMARY KEY,
    flow_run_name TEXT NOT NULL,
    provider TEXT NOT NULL,
    crm TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    finished_at TEXT,
    claimed INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0,
    failure_rate REAL,
    credits REAL,
    api_versions TEXT,
    stop_kind TEXT,
    alert_kind TEXT,
    alert_sent INTEGER,
    alert_state TEXT,
    invalid INTEGER,
    unmatched INTEGER,
    known INTEGER,
    CHECK (state IN ('open', 'closed', 'cancelled', 'failed', 'abandoned'))
);

CREATE TABLE suppressed_contacts (
    key_hash TEXT NOT NULL,
    suppressed_for TEXT NOT NULL,
    reason TEXT NOT NULL,
    suppressed_at TEXT NOT NULL,
    PRIMARY KEY (key_hash, suppressed_for)
);
CREATE INDEX suppressed_by_contact ON suppressed_contacts (suppressed_for);

CREATE TABLE suppression_changes (
    key_hash TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TEXT NOT NULL
);
CREATE INDEX changes_of_key ON suppression_changes (key_hash);

CREATE TABLE event_cursors (
    name TEXT PRIMARY KEY,
    cursor TEXT NOT NULL,
    updated_at TEXT NOT NULL
);

CREATE TABLE provider_usage (
    run_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    outcome TEXT NOT NULL,
    api_version TEXT NOT NULL,
    replies INTEGER NOT NULL,
    credits REAL NOT NULL,
    request_id TEXT,
    last_reply_at TEXT NOT NULL,
    PRIMARY KEY (run_id, provider, outcome, api_version)
);
CREATE INDEX usage_of_provider ON provider_usage (provider, last_reply_at);

CREATE TABLE paused_lanes (
    lane TEXT PRIMARY KEY,
    paused_at TEXT NOT NULL
);

CREATE TABLE doubtful_credits (
    provider TEXT NOT NULL,
    run_id TEXT NOT NULL,
    credits REAL NOT NULL,
    noted_at TEXT NOT NULL
);

CREATE TABLE credit_prices (
    provider TEXT NOT NULL,
    price REAL NOT NULL,
    currency TEXT NOT NULL,
    valid_from TEXT NOT NULL,
    valid_until TEXT,
    PRIMARY KEY (provider, valid_from)
);

CREATE TABLE contact_requests (
    crm_id TEXT NOT NULL,
    crm TEXT NOT NULL,
    object_type TEXT NOT NULL,
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    email_key TEXT,
    PRIMARY KEY (crm_id, crm, object_type, provider, request_key)
) WITHOUT ROWID;
-- How each queued contact ended, without anything of the person.
-- Example: SELECT month, SUM(matched) * 1.0 / COUNT(matched) AS match_rate FROM contact_results GROUP BY month ORDER BY month
CREATE VIEW contact_results AS
SELECT
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    l.disposition AS result, -- text: written, unchanged, unmatched, suppressed, invalid, skipped_fresh or failed
    l.reason, -- text: reason of the result; empty if the result says all
    CASE
        WHEN l.source = 'remap' THEN NULL
        WHEN l.disposition IN ('written', 'unchanged') THEN 1
        WHEN l.disposition = 'unmatched' THEN 0
    END AS matched, -- integer?: [0 or 1] 1: a provider knew it; 0: unmatched; NULL: not looked up
    l.source, -- text: what had queued the contact: webhook, platform_event, schedule, backfill, submission, manual or remap
    l.lane, -- text: live or backfill
    l.email_domain, -- text?: domain of the address that it was looked up with, if any
    l.attempts, -- integer: [runs] number of runs that took the contact
    CAST(ROUND((julianday(l.finished_at) - julianday(l.contact_created_at)) * 86400) AS INTEGER) AS seconds_from_created, -- integer?: [seconds] from its creation in the CRM
    CAST(ROUND((julianday(l.finished_at) - julianday(l.staged_at)) * 86400) AS INTEGER) AS seconds_from_queued, -- integer: [seconds] from when it was queued
    l.finished_at, -- time: when it ended
    date(l.finished_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it ended, such as 2026-11-23
    strftime('%Y-%m', l.finished_at) AS month, -- text: month in which it ended, such as 2026-11
    l.run_id -- text: flow run that ended it; empty for an erasure
FROM record_ledger l;

-- What each provider that was asked about a contact knew, of the contacts that count in the match rate.
-- Example: SELECT provider, SUM(matched) * 1.0 / COUNT(matched) AS match_rate FROM provider_results GROUP BY provider
CREATE VIEW provider_results AS
SELECT
    p.provider, -- text: provider that was asked
    CASE WHEN ',' || l.lookups || ',' LIKE '%,' || p.provider || ' matched,%' THEN 1 ELSE 0 END AS matched, -- integer: [0 or 1] whether it knew the contact
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    l.source, -- text: what had queued the contact; see contact_results
    l.lane, -- text: live or backfill
    l.email_domain, -- text?: domain of the address that it was looked up with, if any
    l.finished_at, -- time: when the contact ended
    date(l.finished_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it ended, such as 2026-11-23
    strftime('%Y-%m', l.finished_at) AS month -- text: month in which it ended, such as 2026-11
FROM record_ledger l
JOIN (
    SELECT DISTINCT a.provider FROM (
        SELECT provider FROM provider_usage UNION ALL SELECT provider FROM provider_replies) a) p
    ON ',' || l.lookups || ',' LIKE '%,' || p.provider || ' %'
WHERE l.disposition IN ('written', 'unchanged', 'unmatched');

-- How many results have each field, by week and provider; each answer counts once, as it was first read.
-- Example: SELECT field, SUM(filled) AS filled, SUM(results) AS results FROM field_fill GROUP BY field
CREATE VIEW field_fill AS
SELECT
    h.provider, -- text: provider that knew the contact; the first one if several did
    h.field, -- text: canonical field; see docs/fields.md
    date(h.enrichment_timestamp, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which the provider answered, such as 2026-11-23
    strftime('%Y-%m', h.enrichment_timestamp) AS month, -- text: month in which the provider answered, such as 2026-11
    COUNT(*) AS results, -- integer: [results] number of results
    SUM(h.filled) AS filled -- integer: [results] number of results that have the field
FROM (
    SELECT h.provider, h.enrichment_timestamp, CAST('company_name' AS TEXT) AS field,
        CASE WHEN h.company_name IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'employee_count' AS field,
        CASE WHEN h.employee_count IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'industry' AS field,
        CASE WHEN h.industry IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'tech_stack' AS field,
        CASE WHEN h.tech_stack <> '[]' THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'linkedin_url' AS field,
        CASE WHEN h.linkedin_url IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'intent_keywords' AS field,
        CASE WHEN h.intent_keywords <> '[]' THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL) h
GROUP BY h.provider, h.field,
    date(h.enrichment_timestamp, 'weekday 0', '-6 days'),
    strftime('%Y-%m', h.enrichment_timestamp);

-- What providers billed, by run, outcome and API version; with money where the price book has a price.
-- Example: SELECT month, provider, SUM(credits) AS credits, SUM(cost) AS cost FROM spending GROUP BY month, provider
CREATE VIEW spending AS
SELECT
    u.run_id, -- text: flow run
    u.provider, -- text: provider that answered
    u.outcome, -- text: what the answers mean, such as matched or unmatched; see docs/add-a-provider.md
    u.api_version, -- text: version of the provider's API; empty if it gives none
    u.replies, -- integer: [answers] number of answers
    u.credits, -- number: [credits] credits that the provider billed for them
    u.credits * c.price AS cost, -- number?: [currency] what they cost; NULL without a price
    c.currency, -- text?: ISO code of the currency of the cost; NULL without a price
    u.last_reply_at, -- time: when the last of these answers came
    date(u.last_reply_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it came, such as 2026-11-23
    strftime('%Y-%m', u.last_reply_at) AS month -- text: month in which it came, such as 2026-11
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
-- Example: SELECT crm_id, company_name, employee_count FROM company_history WHERE valid_until IS NULL
CREATE VIEW company_history AS
SELECT
    h.crm, -- text: CRM that knows the contact, such as hubspot
    h.object_type, -- text: type of the CRM record; always contact so far
    h.crm_id, -- text: id of the record in the CRM
    h.provider, -- text: provider that knew the contact; the first one if several did
    h.confidence, -- number?: [percent] how sure the provider is of its answer
    h.company_name, -- text?: name of the company
    h.employee_count, -- integer?: [employees] number of employees of the company
    h.industry, -- text?: industry of the company
    h.tech_stack, -- JSON?: technologies that the company uses; a list of texts
    h.intent_keywords, -- JSON?: topics that the company researches; a list of texts
    COALESCE(h.remapped_at, h.enrichment_timestamp) AS valid_from, -- time: when the provider answered, or its answer was remapped
    LEAD(COALESCE(h.remapped_at, h.enrichment_timestamp)) OVER (
        PARTITION BY h.crm, h.object_type, h.crm_id
        ORDER BY COALESCE(h.remapped_at, h.enrichment_timestamp)) AS valid_until -- time?: when the next result of the contact came; NULL: none has
FROM enrichment_history h;

-- Each value that the CRM has taken from us, without the value.
-- Example: SELECT field, SUM(was_blank) AS filled, COUNT(*) - SUM(was_blank) AS replaced FROM written_fields GROUP BY field
CREATE VIEW written_fields AS
SELECT
    w.crm, -- text: CRM that knows the contact, such as hubspot
    w.object_type, -- text: type of the CRM record; always contact so far
    w.crm_id, -- text: id of the record in the CRM
    w.field, -- text: field of the CRM
    CASE WHEN w.before IS NULL OR w.before = '' THEN 1 ELSE 0 END AS was_blank, -- integer: [0 or 1] whether the field was blank before
    CASE WHEN w.reverted_at IS NULL THEN 0 ELSE 1 END AS reverted, -- integer: [0 or 1] whether the change was taken back
    w.written_at, -- time: when the CRM had confirmed it
    date(w.written_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it had, such as 2026-11-23
    strftime('%Y-%m', w.written_at) AS month, -- text: month in which it had, such as 2026-11
    w.run_id -- text: flow run that wrote it
FROM crm_writes w
WHERE w.written_at IS NOT NULL AND NOT w.is_undo;

-- Which fields of each contact had a value in the CRM before our first write, and have one now; of the fields that we write.
-- Example: SELECT field, SUM(filled_before) AS filled_before, SUM(filled_now) AS filled_now, COUNT(*) AS contacts FROM crm_completeness GROUP BY field
CREATE VIEW crm_completeness AS
SELECT
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    f.field, -- text: field of the CRM
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' THEN 1 ELSE 0 END AS filled_before, -- integer: [0 or 1] whether the field had a value when we first read the contact
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' OR w.crm_id IS NOT NULL THEN 1 ELSE 0 END AS filled_now, -- integer: [0 or 1] whether it had one then, or we have written one that was not undone
    l.finished_at, -- time: when the contact was first finished
    date(l.finished_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it was, such as 2026-11-23
    strftime('%Y-%m', l.finished_at) AS month -- text: month in which it was, such as 2026-11
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
-- Example: SELECT month, state, COUNT(*) AS runs, SUM(claimed) AS contacts FROM run_totals GROUP BY month, state
CREATE VIEW run_totals AS
SELECT
    n.run_id, -- text: id of the flow run in Prefect
    n.provider, -- text: providers, in the order in which they are queried, separated by commas
    n.crm, -- text: CRM and, behind a slash, the block that names the account
    n.lane, -- text: live or backfill; empty for both
    n.state, -- text: open, closed, cancelled, failed or abandoned (the run died)
    COALESCE(n.stop_kind, '') AS stop_kind, -- text: why the run ended early; empty if it didn't
    COALESCE(n.alert_kind, '') AS alert_kind, -- text: why people were alerted; empty if all was well
    n.claimed, -- integer: [contacts] number of contacts that the run took from the queue
    n.returned, -- integer: [contacts] number of contacts that went back to the queue
    n.failure_rate, -- number?: [0 to 1] failed contacts per contact taken
    CAST(ROUND((julianday(n.finished_at) - julianday(n.started_at)) * 86400) AS INTEGER) AS seconds, -- integer?: [seconds] from its begin to its end; NULL: it has not ended
    n.started_at, -- time: when the run began
    date(n.started_at, 'weekday 0', '-6 days') AS week, -- text: Monday of the week in which it began, such as 2026-11-23
    strftime('%Y-%m', n.started_at) AS month -- text: month in which it began, such as 2026-11
FROM enrichment_runs n
