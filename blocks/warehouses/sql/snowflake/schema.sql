-- Snowflake. Everything stands in the schema that the block names (ENRICHMENT_PIPELINE). Keys are declared where the
-- user's tables have them, and relied upon nowhere: Snowflake doesn't enforce them. What is unique is kept so by MERGE,
-- whose source never has a key twice. Timestamps are UTC without a zone, of the server's clock (SYSDATE()), and are
-- read as milliseconds since 1970. A list arrives as one JSON text and is unpacked by LATERAL FLATTEN.

-- session: read_schema
SELECT CURRENT_SCHEMA() AS name

-- session: read_mark
SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('enrichment_staging') AS queue,
    SYSTEM$LAST_CHANGE_COMMIT_TIME('paused_lanes') AS pauses

-- session: create_schema
CREATE SCHEMA IF NOT EXISTS :schema

-- query: create_migrations
-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
CREATE TABLE IF NOT EXISTS schema_migrations (
    version VARCHAR NOT NULL,
    applied_at TIMESTAMP_NTZ NOT NULL
)

-- migration: 0001 first schema
-- Never OR REPLACE: a second setup would empty the queue.
CREATE TRANSIENT TABLE IF NOT EXISTS enrichment_staging (
    record_id VARCHAR NOT NULL PRIMARY KEY,
    crm_id VARCHAR NOT NULL,
    email_address VARCHAR,
    processed_at TIMESTAMP_NTZ,
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before TIMESTAMP_NTZ,
    claimed_by VARCHAR,
    claim_run_id VARCHAR,
    claim_expires_at TIMESTAMP_NTZ,
    staged_at TIMESTAMP_NTZ NOT NULL,
    contact_created_at TIMESTAMP_NTZ,
    request_key VARCHAR,
    changed_at TIMESTAMP_NTZ,
    refresh BOOLEAN NOT NULL DEFAULT FALSE,
    lookups VARCHAR,
    email_domain VARCHAR
);

CREATE TABLE IF NOT EXISTS enriched_contacts (
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    enrichment_timestamp TIMESTAMP_NTZ NOT NULL,
    company_name VARCHAR,
    employee_count INTEGER,
    industry VARCHAR,
    tech_stack VARIANT,
    linkedin_url VARCHAR,
    intent_keywords ARRAY,
    provider VARCHAR NOT NULL,
    provider_record_id VARCHAR,
    confidence DOUBLE,
    attributes VARIANT,
    run_id VARCHAR NOT NULL,
    PRIMARY KEY (crm, object_type, crm_id)
);

CREATE TABLE IF NOT EXISTS enrichment_history (
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    enrichment_timestamp TIMESTAMP_NTZ NOT NULL,
    company_name VARCHAR,
    employee_count INTEGER,
    industry VARCHAR,
    tech_stack VARIANT,
    linkedin_url VARCHAR,
    intent_keywords ARRAY,
    provider VARCHAR NOT NULL,
    provider_record_id VARCHAR,
    confidence DOUBLE,
    attributes VARIANT,
    run_id VARCHAR NOT NULL,
    remapped_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS unmatched_records (
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    lookup_identifier VARCHAR,
    reason VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    unmatched_at TIMESTAMP_NTZ NOT NULL,
    reviewed_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS provider_replies (
    provider VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    reply VARIANT,
    outcome VARCHAR NOT NULL,
    credits DOUBLE NOT NULL DEFAULT 0,
    api_version VARCHAR,
    request_id VARCHAR,
    received_at TIMESTAMP_NTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    paid_before TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS lookup_reservations (
    provider VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    reserved_by VARCHAR NOT NULL,
    reserved_until TIMESTAMP_NTZ NOT NULL,
    run_id VARCHAR,
    credits DOUBLE
);

CREATE TABLE IF NOT EXISTS crm_writes (
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    field VARCHAR NOT NULL,
    before VARCHAR,
    after VARCHAR,
    run_id VARCHAR NOT NULL,
    planned_at TIMESTAMP_NTZ NOT NULL,
    written_at TIMESTAMP_NTZ,
    reverted_at TIMESTAMP_NTZ,
    reverted_by VARCHAR,
    is_undo BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE IF NOT EXISTS crm_profiles (
    crm VARCHAR NOT NULL,
    profiled_at TIMESTAMP_NTZ NOT NULL,
    contacts INTEGER NOT NULL,
    contacts_read INTEGER NOT NULL,
    counts VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS change_plans (
    plan_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    cause VARCHAR NOT NULL,
    policy VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    made_at TIMESTAMP_NTZ NOT NULL,
    made_by VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    decided_at TIMESTAMP_NTZ,
    decided_by VARCHAR,
    note VARCHAR
);

CREATE TABLE IF NOT EXISTS planned_changes (
    plan_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    record_id VARCHAR NOT NULL,
    field VARCHAR NOT NULL,
    before VARCHAR,
    after VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    planned_at TIMESTAMP_NTZ NOT NULL,
    taken_by VARCHAR
);

CREATE TABLE IF NOT EXISTS failed_records (
    record_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    email_address VARCHAR,
    lane VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    step VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    error VARCHAR NOT NULL,
    attempts INTEGER NOT NULL,
    run_id VARCHAR NOT NULL,
    failed_at TIMESTAMP_NTZ NOT NULL,
    replayed_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS field_refusals (
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    field VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    value VARCHAR,
    run_id VARCHAR NOT NULL,
    refused_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS record_ledger (
    record_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    disposition VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    attempts INTEGER NOT NULL,
    contact_created_at TIMESTAMP_NTZ,
    staged_at TIMESTAMP_NTZ NOT NULL,
    finished_at TIMESTAMP_NTZ NOT NULL,
    run_id VARCHAR NOT NULL,
    lookups VARCHAR,
    email_domain VARCHAR,
    filled_before VARCHAR
);

CREATE TABLE IF NOT EXISTS enrichment_runs (
    run_id VARCHAR NOT NULL,
    flow_run_name VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    lane VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    started_at TIMESTAMP_NTZ NOT NULL,
    seen_at TIMESTAMP_NTZ NOT NULL,
    finished_at TIMESTAMP_NTZ,
    claimed INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0,
    failure_rate DOUBLE,
    credits DOUBLE,
    api_versions VARIANT,
    stop_kind VARCHAR,
    alert_kind VARCHAR,
    alert_sent BOOLEAN,
    alert_state VARCHAR,
    invalid INTEGER,
    unmatched INTEGER,
    known INTEGER
);

CREATE TABLE IF NOT EXISTS suppressed_contacts (
    key_hash VARCHAR NOT NULL,
    suppressed_for VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    suppressed_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS suppression_changes (
    key_hash VARCHAR NOT NULL,
    action VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    changed_by VARCHAR NOT NULL,
    changed_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS event_cursors (
    name VARCHAR NOT NULL,
    cursor VARCHAR NOT NULL,
    updated_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS provider_usage (
    run_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    outcome VARCHAR NOT NULL,
    api_version VARCHAR NOT NULL,
    replies INTEGER NOT NULL,
    credits DOUBLE NOT NULL,
    request_id VARCHAR,
    last_reply_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS paused_lanes (
    lane VARCHAR NOT NULL,
    paused_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS doubtful_credits (
    provider VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    credits DOUBLE NOT NULL,
    noted_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS credit_prices (
    provider VARCHAR NOT NULL,
    price DOUBLE NOT NULL,
    currency VARCHAR NOT NULL,
    valid_from TIMESTAMP_NTZ NOT NULL,
    valid_until TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS contact_requests (
    crm_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    object_type VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    email_key VARCHAR
);

-- One row that belongs to no claim: each reservation changes it first, and so waits for the one under way.
MERGE INTO lookup_reservations t USING (SELECT '' AS provider, '' AS request_key) s
ON t.provider = s.provider AND t.request_key = s.request_key
WHEN NOT MATCHED THEN INSERT (provider, request_key, reserved_by, reserved_until)
    VALUES (s.provider, s.request_key, '', SYSDATE())
