-- BigQuery, GoogleSQL. Everything stands in the dataset that the block names (ENRICHMENT_PIPELINE), the default of each
-- job.
--
-- A statement is a separate job, whole or not at all; a verb is several, in an order in which each may be repeated.
-- Keys aren't enforced: what must be unique is merged. Rows are filled by DML, never streamed, so that they can be
-- changed at once. A list is one JSON text, which UNNEST takes apart.

-- query: create_migrations
-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
CREATE TABLE IF NOT EXISTS schema_migrations (
    version STRING NOT NULL,
    applied_at TIMESTAMP NOT NULL
)

-- migration: 0001 first schema
CREATE TABLE IF NOT EXISTS enrichment_staging (
    record_id STRING NOT NULL,
    crm_id STRING NOT NULL,
    email_address STRING,
    processed_at TIMESTAMP,
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    source STRING NOT NULL,
    lane STRING NOT NULL,
    state STRING NOT NULL,
    attempts INT64 DEFAULT 0 NOT NULL,
    not_before TIMESTAMP,
    claimed_by STRING,
    claim_run_id STRING,
    claim_expires_at TIMESTAMP,
    staged_at TIMESTAMP NOT NULL,
    contact_created_at TIMESTAMP,
    request_key STRING,
    changed_at TIMESTAMP,
    refresh BOOL DEFAULT FALSE NOT NULL,
    lookups STRING,
    email_domain STRING
);

CREATE TABLE IF NOT EXISTS enriched_contacts (
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name STRING,
    employee_count INT64,
    industry STRING,
    tech_stack JSON,
    linkedin_url STRING,
    intent_keywords JSON,
    provider STRING NOT NULL,
    provider_record_id STRING,
    confidence FLOAT64,
    attributes JSON,
    run_id STRING NOT NULL
);

CREATE TABLE IF NOT EXISTS enrichment_history (
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name STRING,
    employee_count INT64,
    industry STRING,
    tech_stack JSON,
    linkedin_url STRING,
    intent_keywords JSON,
    provider STRING NOT NULL,
    provider_record_id STRING,
    confidence FLOAT64,
    attributes JSON,
    run_id STRING NOT NULL,
    remapped_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS unmatched_records (
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    lookup_identifier STRING,
    reason STRING NOT NULL,
    provider STRING NOT NULL,
    run_id STRING NOT NULL,
    unmatched_at TIMESTAMP NOT NULL,
    reviewed_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS provider_replies (
    provider STRING NOT NULL,
    request_key STRING NOT NULL,
    reply JSON,
    outcome STRING NOT NULL,
    credits FLOAT64 DEFAULT 0 NOT NULL,
    api_version STRING,
    request_id STRING,
    received_at TIMESTAMP NOT NULL,
    run_id STRING NOT NULL,
    paid_before TIMESTAMP
);

CREATE TABLE IF NOT EXISTS lookup_reservations (
    provider STRING NOT NULL,
    request_key STRING NOT NULL,
    reserved_by STRING NOT NULL,
    reserved_until TIMESTAMP NOT NULL,
    run_id STRING,
    credits FLOAT64
);

CREATE TABLE IF NOT EXISTS crm_writes (
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    field STRING NOT NULL,
    before STRING,
    after STRING,
    run_id STRING NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    written_at TIMESTAMP,
    reverted_at TIMESTAMP,
    reverted_by STRING,
    is_undo BOOL DEFAULT FALSE NOT NULL
);

CREATE TABLE IF NOT EXISTS crm_profiles (
    crm STRING NOT NULL,
    profiled_at TIMESTAMP NOT NULL,
    contacts INT64 NOT NULL,
    contacts_read INT64 NOT NULL,
    counts STRING NOT NULL
);

CREATE TABLE IF NOT EXISTS change_plans (
    plan_id STRING NOT NULL,
    crm STRING NOT NULL,
    provider STRING NOT NULL,
    cause STRING NOT NULL,
    policy STRING NOT NULL,
    digest STRING NOT NULL,
    made_at TIMESTAMP NOT NULL,
    made_by STRING NOT NULL,
    state STRING NOT NULL,
    decided_at TIMESTAMP,
    decided_by STRING,
    note STRING
);

CREATE TABLE IF NOT EXISTS planned_changes (
    plan_id STRING NOT NULL,
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    record_id STRING NOT NULL,
    field STRING NOT NULL,
    before STRING,
    after STRING NOT NULL,
    rule STRING NOT NULL,
    source STRING NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    taken_by STRING
);

CREATE TABLE IF NOT EXISTS failed_records (
    record_id STRING NOT NULL,
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    email_address STRING,
    lane STRING NOT NULL,
    source STRING NOT NULL,
    step STRING NOT NULL,
    reason STRING NOT NULL,
    error STRING NOT NULL,
    attempts INT64 NOT NULL,
    run_id STRING NOT NULL,
    failed_at TIMESTAMP NOT NULL,
    replayed_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS field_refusals (
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    field STRING NOT NULL,
    reason STRING NOT NULL,
    value STRING,
    run_id STRING NOT NULL,
    refused_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS record_ledger (
    record_id STRING NOT NULL,
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    crm_id STRING NOT NULL,
    disposition STRING NOT NULL,
    reason STRING NOT NULL,
    request_key STRING NOT NULL,
    lane STRING NOT NULL,
    source STRING NOT NULL,
    attempts INT64 NOT NULL,
    contact_created_at TIMESTAMP,
    staged_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    run_id STRING NOT NULL,
    lookups STRING,
    email_domain STRING,
    filled_before STRING
);

CREATE TABLE IF NOT EXISTS enrichment_runs (
    run_id STRING NOT NULL,
    flow_run_name STRING NOT NULL,
    provider STRING NOT NULL,
    crm STRING NOT NULL,
    lane STRING NOT NULL,
    state STRING NOT NULL,
    started_at TIMESTAMP NOT NULL,
    seen_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    claimed INT64 DEFAULT 0 NOT NULL,
    returned INT64 DEFAULT 0 NOT NULL,
    failure_rate FLOAT64,
    credits FLOAT64,
    api_versions JSON,
    stop_kind STRING,
    alert_kind STRING,
    alert_sent BOOL,
    alert_state STRING,
    invalid INT64,
    unmatched INT64,
    known INT64
);

CREATE TABLE IF NOT EXISTS suppressed_contacts (
    key_hash STRING NOT NULL,
    suppressed_for STRING NOT NULL,
    reason STRING NOT NULL,
    suppressed_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS suppression_changes (
    key_hash STRING NOT NULL,
    action STRING NOT NULL,
    reason STRING NOT NULL,
    changed_by STRING NOT NULL,
    changed_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS event_cursors (
    name STRING NOT NULL,
    cursor STRING NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS provider_usage (
    run_id STRING NOT NULL,
    provider STRING NOT NULL,
    outcome STRING NOT NULL,
    api_version STRING NOT NULL,
    replies INT64 NOT NULL,
    credits FLOAT64 NOT NULL,
    request_id STRING,
    last_reply_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS paused_lanes (
    lane STRING NOT NULL,
    paused_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS doubtful_credits (
    provider STRING NOT NULL,
    run_id STRING NOT NULL,
    credits FLOAT64 NOT NULL,
    noted_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS credit_prices (
    provider STRING NOT NULL,
    price FLOAT64 NOT NULL,
    currency STRING NOT NULL,
    valid_from TIMESTAMP NOT NULL,
    valid_until TIMESTAMP
);

CREATE TABLE IF NOT EXISTS contact_requests (
    crm_id STRING NOT NULL,
    crm STRING NOT NULL,
    object_type STRING NOT NULL,
    provider STRING NOT NULL,
    request_key STRING NOT NULL,
    email_key STRING
);

-- One row that belongs to no claim: each reservation changes it, so that no two reserve side by side.
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until)
SELECT '', '', '', CURRENT_TIMESTAMP() FROM (SELECT 1)
WHERE NOT EXISTS (SELECT 1 FROM lookup_reservations WHERE provider = '' AND request_key = '')
