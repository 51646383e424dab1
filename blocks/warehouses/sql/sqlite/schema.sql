-- SQLite 3.38 or newer, WAL mode. Timestamps are ISO-8601 UTC text with milliseconds, which sorts as time does.
-- WITHOUT ROWID keeps rows in the search tree itself, which suits small ones; saved replies are large.
-- CROSS JOIN and the plus before claimed_by keep the planner from reading all of json_each for every claimed row.

-- query: create_migrations
-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
CREATE TABLE IF NOT EXISTS schema_migrations (
    version TEXT NOT NULL,
    applied_at TEXT NOT NULL
)

-- migration: 0001 first schema
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
) WITHOUT ROWID
