-- Amazon Redshift. Everything stands in the schema that the block names (enrichment_pipeline), which is first on the
-- search path. Timestamps are UTC without a zone, as GETDATE() gives them, to the second.
--
-- Keys are left out: Redshift wouldn't enforce them, and its planner would believe them. Each key is kept by writers
-- taking one lock before anything else, and by inserting only what isn't there.
--
-- A text is at most 65,535 bytes here, too short for a chunk's rows as one JSON text. So `:rows`, `:ids` and `:keys`
-- name temporary tables of the session, which are filled just before the statement; `r.` are its columns, all text.

-- session: make rows
CREATE TEMP TABLE IF NOT EXISTS batch_rows (
    record_id VARCHAR(256), new_record_id VARCHAR(256), crm VARCHAR(256), object_type VARCHAR(256),
    crm_id VARCHAR(256), email_address VARCHAR(1024),
    source VARCHAR(256), lane VARCHAR(256), contact_created_at VARCHAR(64),
    request_key VARCHAR(256), reply VARCHAR(65535), outcome VARCHAR(256), credits VARCHAR(64),
    api_version VARCHAR(256), request_id VARCHAR(256), enrichment_timestamp VARCHAR(64), company_name VARCHAR(4096),
    employee_count VARCHAR(64), industry VARCHAR(4096), tech_stack VARCHAR(65535), linkedin_url VARCHAR(4096),
    intent_keywords VARCHAR(65535), provider VARCHAR(256), provider_record_id VARCHAR(256), confidence VARCHAR(64),
    attributes VARCHAR(65535), lookup_identifier VARCHAR(4096), reason VARCHAR(4096), field VARCHAR(256),
    before VARCHAR(65535), after VARCHAR(65535), run_id VARCHAR(256), disposition VARCHAR(256), step VARCHAR(256),
    detail VARCHAR(65535), wait_seconds VARCHAR(64), costs_attempt VARCHAR(8), email_key VARCHAR(256),
    refresh VARCHAR(8), value VARCHAR(4096), lookups VARCHAR(4096), email_domain VARCHAR(256),
    filled_before VARCHAR(65535), remapped_by VARCHAR(256)
)

-- session: make ids
CREATE TEMP TABLE IF NOT EXISTS batch_ids (value VARCHAR(1024))

-- session: fill rows
INSERT INTO batch_rows VALUES
(:record_id, :new_record_id, :crm, :object_type, :crm_id,
    :email_address, :source, :lane, :contact_created_at, :request_key, :reply,
    :outcome, :credits, :api_version, :request_id, :enrichment_timestamp, :company_name, :employee_count, :industry,
    :tech_stack, :linkedin_url, :intent_keywords, :provider, :provider_record_id, :confidence, :attributes,
    :lookup_identifier, :reason, :field, :before, :after, :run_id, :disposition, :step, :detail, :wait_seconds,
    :costs_attempt, :email_key, :refresh, :value, :lookups, :email_domain,
    :filled_before, :remapped_by)

-- session: fill ids
INSERT INTO batch_ids VALUES
(:value)

-- session: clear rows
DELETE FROM batch_rows

-- session: clear ids
DELETE FROM batch_ids

-- session: empty rows
TRUNCATE batch_rows

-- session: empty ids
TRUNCATE batch_ids

-- query: create_migrations
-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
CREATE TABLE IF NOT EXISTS schema_migrations (
    version VARCHAR(256) NOT NULL,
    applied_at TIMESTAMP NOT NULL
)

-- migration: 0001 first schema
CREATE TABLE enrichment_staging (
    record_id VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    email_address VARCHAR(1024),
    processed_at TIMESTAMP,
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    source VARCHAR(256) NOT NULL,
    lane VARCHAR(256) NOT NULL,
    state VARCHAR(256) NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before TIMESTAMP,
    claimed_by VARCHAR(256),
    claim_run_id VARCHAR(256),
    claim_expires_at TIMESTAMP,
    staged_at TIMESTAMP NOT NULL,
    contact_created_at TIMESTAMP,
    request_key VARCHAR(256),
    changed_at TIMESTAMP,
    refresh BOOLEAN NOT NULL DEFAULT FALSE,
    lookups VARCHAR(4096),
    email_domain VARCHAR(256)
);

CREATE TABLE enriched_contacts (
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name VARCHAR(4096),
    employee_count INTEGER,
    industry VARCHAR(4096),
    tech_stack SUPER,
    linkedin_url VARCHAR(4096),
    intent_keywords SUPER,
    provider VARCHAR(256) NOT NULL,
    provider_record_id VARCHAR(256),
    confidence DOUBLE PRECISION,
    attributes SUPER,
    run_id VARCHAR(256) NOT NULL
);

CREATE TABLE enrichment_history (
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name VARCHAR(4096),
    employee_count INTEGER,
    industry VARCHAR(4096),
    tech_stack SUPER,
    linkedin_url VARCHAR(4096),
    intent_keywords SUPER,
    provider VARCHAR(256) NOT NULL,
    provider_record_id VARCHAR(256),
    confidence DOUBLE PRECISION,
    attributes SUPER,
    run_id VARCHAR(256) NOT NULL,
    remapped_at TIMESTAMP
);

CREATE TABLE unmatched_records (
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    lookup_identifier VARCHAR(4096),
    reason VARCHAR(4096) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    run_id VARCHAR(256) NOT NULL,
    unmatched_at TIMESTAMP NOT NULL,
    reviewed_at TIMESTAMP
);

CREATE TABLE provider_replies (
    provider VARCHAR(256) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    reply SUPER,
    outcome VARCHAR(256) NOT NULL,
    credits DOUBLE PRECISION NOT NULL DEFAULT 0,
    api_version VARCHAR(256),
    request_id VARCHAR(256),
    received_at TIMESTAMP NOT NULL,
    run_id VARCHAR(256) NOT NULL,
    paid_before TIMESTAMP
);

CREATE TABLE lookup_reservations (
    provider VARCHAR(256) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    reserved_by VARCHAR(256) NOT NULL,
    reserved_until TIMESTAMP NOT NULL,
    run_id VARCHAR(256),
    credits DOUBLE PRECISION
);

CREATE TABLE crm_writes (
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    field VARCHAR(256) NOT NULL,
    before VARCHAR(65535),
    after VARCHAR(65535),
    run_id VARCHAR(256) NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    written_at TIMESTAMP,
    reverted_at TIMESTAMP,
    reverted_by VARCHAR(256),
    is_undo BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE crm_profiles (
    crm VARCHAR(256) NOT NULL,
    profiled_at TIMESTAMP NOT NULL,
    contacts INTEGER NOT NULL,
    contacts_read INTEGER NOT NULL,
    counts VARCHAR(65535) NOT NULL
);

CREATE TABLE change_plans (
    plan_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    cause VARCHAR(256) NOT NULL,
    policy VARCHAR(256) NOT NULL,
    digest VARCHAR(256) NOT NULL,
    made_at TIMESTAMP NOT NULL,
    made_by VARCHAR(256) NOT NULL,
    state VARCHAR(256) NOT NULL,
    decided_at TIMESTAMP,
    decided_by VARCHAR(256),
    note VARCHAR(4096)
);

CREATE TABLE planned_changes (
    plan_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    record_id VARCHAR(256) NOT NULL,
    field VARCHAR(256) NOT NULL,
    before VARCHAR(65535),
    after VARCHAR(65535) NOT NULL,
    rule VARCHAR(256) NOT NULL,
    source VARCHAR(256) NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    taken_by VARCHAR(256)
);

CREATE TABLE failed_records (
    record_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    email_address VARCHAR(1024),
    lane VARCHAR(256) NOT NULL,
    source VARCHAR(256) NOT NULL,
    step VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    error VARCHAR(65535) NOT NULL,
    attempts INTEGER NOT NULL,
    run_id VARCHAR(256) NOT NULL,
    failed_at TIMESTAMP NOT NULL,
    replayed_at TIMESTAMP
);

CREATE TABLE field_refusals (
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    field VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    value VARCHAR(4096),
    run_id VARCHAR(256) NOT NULL,
    refused_at TIMESTAMP NOT NULL
);

CREATE TABLE record_ledger (
    record_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    disposition VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    lane VARCHAR(256) NOT NULL,
    source VARCHAR(256) NOT NULL,
    attempts INTEGER NOT NULL,
    contact_created_at TIMESTAMP,
    staged_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    run_id VARCHAR(256) NOT NULL,
    lookups VARCHAR(4096),
    email_domain VARCHAR(256),
    filled_before VARCHAR(65535)
);

CREATE TABLE enrichment_runs (
    run_id VARCHAR(256) NOT NULL,
    flow_run_name VARCHAR(1024) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    lane VARCHAR(256) NOT NULL,
    state VARCHAR(256) NOT NULL,
    started_at TIMESTAMP NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    claimed INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0,
    failure_rate DOUBLE PRECISION,
    credits DOUBLE PRECISION,
    api_versions SUPER,
    stop_kind VARCHAR(256),
    alert_kind VARCHAR(256),
    alert_sent BOOLEAN,
    alert_state VARCHAR(65535),
    invalid INTEGER,
    unmatched INTEGER,
    known INTEGER
);

CREATE TABLE suppressed_contacts (
    key_hash VARCHAR(256) NOT NULL,
    suppressed_for VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    suppressed_at TIMESTAMP NOT NULL
);

CREATE TABLE suppression_changes (
    key_hash VARCHAR(256) NOT NULL,
    action VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    changed_by VARCHAR(256) NOT NULL,
    changed_at TIMESTAMP NOT NULL
);

CREATE TABLE event_cursors (
    name VARCHAR(256) NOT NULL,
    cursor VARCHAR(4096) NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE provider_usage (
    run_id VARCHAR(256) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    outcome VARCHAR(256) NOT NULL,
    api_version VARCHAR(256) NOT NULL,
    replies INTEGER NOT NULL,
    credits DOUBLE PRECISION NOT NULL,
    request_id VARCHAR(256),
    last_reply_at TIMESTAMP NOT NULL
);

CREATE TABLE paused_lanes (
    lane VARCHAR(256) NOT NULL,
    paused_at TIMESTAMP NOT NULL
);

CREATE TABLE doubtful_credits (
    provider VARCHAR(256) NOT NULL,
    run_id VARCHAR(256) NOT NULL,
    credits DOUBLE PRECISION NOT NULL,
    noted_at TIMESTAMP NOT NULL
);

CREATE TABLE credit_prices (
    provider VARCHAR(256) NOT NULL,
    price DOUBLE PRECISION NOT NULL,
    currency VARCHAR(256) NOT NULL,
    valid_from TIMESTAMP NOT NULL,
    valid_until TIMESTAMP
);

CREATE TABLE contact_requests (
    crm_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    object_type VARCHAR(256) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    email_key VARCHAR(256)
)
