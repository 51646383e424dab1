-- Snowflake. Everything stands in the schema that the block names (ENRICHMENT_PIPELINE). Keys are declared where the
-- user's tables have them, and relied upon nowhere: Snowflake doesn't enforce them. What is unique is kept so by MERGE,
-- whose source never has a key twice. Timestamps are UTC without a zone, of the server's clock (SYSDATE()), and are read
-- as milliseconds since 1970. A list arrives as one JSON text and is unpacked by LATERAL FLATTEN.

-- session: read_schema
SELECT CURRENT_SCHEMA() AS name

-- session: create_schema
CREATE SCHEMA IF NOT EXISTS :schema

-- session: create_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (version VARCHAR NOT NULL, applied_at TIMESTAMP_NTZ NOT NULL)

-- session: read_migrations
SELECT version FROM schema_migrations

-- session: record_migration
MERGE INTO schema_migrations t USING (SELECT :version AS version) s ON t.version = s.version
WHEN NOT MATCHED THEN INSERT (version, applied_at) VALUES (s.version, SYSDATE())

-- migration: 0001 queue, results, journal and books
-- Never OR REPLACE: a second setup would empty the queue.
CREATE TRANSIENT TABLE IF NOT EXISTS enrichment_staging (
    record_id VARCHAR NOT NULL PRIMARY KEY,
    crm_id VARCHAR NOT NULL,
    email_address VARCHAR,
    processed_at TIMESTAMP_NTZ,
    crm VARCHAR NOT NULL,
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
    request_key VARCHAR
);

CREATE TABLE IF NOT EXISTS enriched_contacts (
    crm VARCHAR NOT NULL,
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
    PRIMARY KEY (crm, crm_id)
);

CREATE TABLE IF NOT EXISTS enrichment_history (
    crm VARCHAR NOT NULL,
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
    run_id VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS unmatched_records (
    crm VARCHAR NOT NULL,
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
    run_id VARCHAR NOT NULL
);

CREATE TABLE IF NOT EXISTS lookup_reservations (
    provider VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    reserved_by VARCHAR NOT NULL,
    reserved_until TIMESTAMP_NTZ NOT NULL
);

-- One row that belongs to nobody: whoever wants to reserve changes it first, and so waits for whoever is reserving.
MERGE INTO lookup_reservations t USING (SELECT '' AS provider, '' AS request_key) s
ON t.provider = s.provider AND t.request_key = s.request_key
WHEN NOT MATCHED THEN INSERT (provider, request_key, reserved_by, reserved_until)
    VALUES (s.provider, s.request_key, '', SYSDATE());

CREATE TABLE IF NOT EXISTS crm_writes (
    crm VARCHAR NOT NULL,
    crm_id VARCHAR NOT NULL,
    field VARCHAR NOT NULL,
    before VARCHAR,
    after VARCHAR,
    run_id VARCHAR NOT NULL,
    planned_at TIMESTAMP_NTZ NOT NULL,
    written_at TIMESTAMP_NTZ,
    reverted_at TIMESTAMP_NTZ
);

CREATE TABLE IF NOT EXISTS failed_records (
    record_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
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

CREATE TABLE IF NOT EXISTS record_ledger (
    record_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
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
    run_id VARCHAR NOT NULL
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
    alert_sent BOOLEAN
);

CREATE TABLE IF NOT EXISTS suppressed_contacts (
    key_hash VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    suppressed_at TIMESTAMP_NTZ NOT NULL
);

CREATE TABLE IF NOT EXISTS event_cursors (
    name VARCHAR NOT NULL,
    cursor VARCHAR NOT NULL,
    updated_at TIMESTAMP_NTZ NOT NULL
);

-- migration: 0002 what each provider cost
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

-- migration: 0003 pauses, and what is reserved
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

ALTER TABLE lookup_reservations ADD COLUMN IF NOT EXISTS run_id VARCHAR;
ALTER TABLE lookup_reservations ADD COLUMN IF NOT EXISTS credits DOUBLE;

-- migration: 0004 when a contact changed while a run was at work on it
ALTER TABLE enrichment_staging ADD COLUMN IF NOT EXISTS changed_at TIMESTAMP_NTZ;

-- migration: 0005 which requests were made for which contact
CREATE TABLE IF NOT EXISTS contact_requests (
    crm_id VARCHAR NOT NULL,
    crm VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    request_key VARCHAR NOT NULL,
    email_key VARCHAR
);

MERGE INTO contact_requests t USING (
    SELECT DISTINCT l.crm_id, l.crm, p.provider, p.request_key
    FROM (
        SELECT crm_id, crm, request_key FROM record_ledger
        UNION ALL SELECT crm_id, crm, request_key FROM enrichment_staging) l
    JOIN provider_replies p ON p.request_key = l.request_key) s
ON t.crm_id = s.crm_id AND t.crm = s.crm AND t.provider = s.provider AND t.request_key = s.request_key
WHEN NOT MATCHED THEN INSERT (crm_id, crm, provider, request_key) VALUES (s.crm_id, s.crm, s.provider, s.request_key)

-- query: promote_staged
UPDATE enrichment_staging SET lane = 'live'
WHERE lane = 'backfill' AND (crm, crm_id) IN (
    SELECT f.value['crm']::VARCHAR, f.value['crm_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    WHERE f.value['lane']::VARCHAR = 'live')

-- query: stage_records
MERGE INTO enrichment_staging t USING (
    SELECT r.record_id, r.crm, r.crm_id, r.email_address, r.source, r.lane, r.contact_created_at
    FROM (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['crm']::VARCHAR AS crm,
            f.value['crm_id']::VARCHAR AS crm_id, f.value['email_address']::VARCHAR AS email_address,
            f.value['source']::VARCHAR AS source, f.value['lane']::VARCHAR AS lane,
            CAST(f.value['contact_created_at']::VARCHAR AS TIMESTAMP_NTZ) AS contact_created_at, f.index AS place
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
    LEFT JOIN (SELECT DISTINCT crm, crm_id FROM record_ledger) l ON l.crm = r.crm AND l.crm_id = r.crm_id
    WHERE r.source <> 'schedule' OR l.crm_id IS NULL
    QUALIFY ROW_NUMBER() OVER (PARTITION BY r.crm, r.crm_id ORDER BY r.place) = 1) s
ON t.crm = s.crm AND t.crm_id = s.crm_id
WHEN NOT MATCHED THEN INSERT
    (record_id, crm, crm_id, email_address, source, lane, state, contact_created_at, staged_at)
    VALUES (s.record_id, s.crm, s.crm_id, s.email_address, s.source, s.lane, 'waiting', s.contact_created_at, SYSDATE())

-- query: note_changes
-- Whatever an event said of a contact in the queue, the CRM is asked how it is now; a run's work on it is done again.
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at ELSE SYSDATE() END
WHERE (crm, crm_id) IN (
    SELECT f.value['crm']::VARCHAR, f.value['crm_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: save_cursor
MERGE INTO event_cursors t USING (SELECT :name AS name, :cursor AS cursor) s ON t.name = s.name
WHEN MATCHED THEN UPDATE SET cursor = s.cursor, updated_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (s.name, s.cursor, SYSDATE())

-- query: read_cursor
SELECT cursor FROM event_cursors WHERE name = :name

-- query: begin_cursor
MERGE INTO event_cursors t USING (SELECT :name AS name, :cursor AS cursor) s ON t.name = s.name
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (s.name, s.cursor, SYSDATE())

-- query: advance_cursor
UPDATE event_cursors SET cursor = :cursor, updated_at = SYSDATE()
WHERE name = :name AND cursor = :before

-- query: pause_lane
MERGE INTO paused_lanes t USING (SELECT :lane AS lane) s ON t.lane = s.lane
WHEN NOT MATCHED THEN INSERT (lane, paused_at) VALUES (s.lane, SYSDATE())

-- query: resume_lane
DELETE FROM paused_lanes WHERE lane = :lane

-- query: read_pauses
SELECT lane, DATE_PART(epoch_millisecond, paused_at) AS paused_at FROM paused_lanes ORDER BY lane

-- query: read_waiting
SELECT crm_id FROM enrichment_staging WHERE crm = :crm AND crm_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: read_dead_letters
SELECT record_id, crm, crm_id, email_address, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id)

-- query: restage_dead_letters
MERGE INTO enrichment_staging t USING (
    SELECT f.value['new_record_id']::VARCHAR AS record_id, f.value['crm']::VARCHAR AS crm,
        f.value['crm_id']::VARCHAR AS crm_id, f.value['email_address']::VARCHAR AS email_address,
        f.value['lane']::VARCHAR AS lane
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm']::VARCHAR, f.value['crm_id']::VARCHAR ORDER BY f.index) = 1) s
ON t.crm = s.crm AND t.crm_id = s.crm_id
WHEN NOT MATCHED THEN INSERT (record_id, crm, crm_id, email_address, source, lane, state, staged_at)
    VALUES (s.record_id, s.crm, s.crm_id, s.email_address, 'manual', s.lane, 'waiting', SYSDATE())

-- query: mark_replayed
UPDATE failed_records SET replayed_at = SYSDATE()
WHERE record_id IN (
    SELECT f.value['record_id']::VARCHAR FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: claim_records
-- The condition stands twice on purpose: the outer one is judged again at the moment of the update. Of a contact that
-- two intakes staged at the same instant, which no key prevents here, only the older record is free.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = DATEADD(second, :lease_seconds, SYSDATE()),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT s.record_id FROM (
        SELECT record_id, lane, staged_at, claimed_by, claim_expires_at, not_before FROM enrichment_staging
        WHERE crm = :crm QUALIFY ROW_NUMBER() OVER (PARTITION BY crm_id ORDER BY staged_at, record_id) = 1) s
    WHERE (:lane = '' OR s.lane = :lane) AND s.lane NOT IN (SELECT lane FROM paused_lanes)
        AND (s.claimed_by IS NULL OR s.claim_expires_at < SYSDATE())
        AND (s.not_before IS NULL OR s.not_before <= SYSDATE())
    ORDER BY s.lane DESC, s.staged_at LIMIT :limit)
AND (claimed_by IS NULL OR claim_expires_at < SYSDATE())

-- query: read_claim
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE claimed_by = :token ORDER BY staged_at, record_id

-- query: peek_records
SELECT s.record_id, s.crm, s.crm_id, s.email_address, s.state, s.attempts FROM (
    SELECT record_id, crm, crm_id, email_address, state, attempts, lane, staged_at, claimed_by, claim_expires_at,
        not_before
    FROM enrichment_staging
    WHERE crm = :crm QUALIFY ROW_NUMBER() OVER (PARTITION BY crm_id ORDER BY staged_at, record_id) = 1) s
WHERE (:lane = '' OR s.lane = :lane)
    AND (s.claimed_by IS NULL OR s.claim_expires_at < SYSDATE())
    AND (s.not_before IS NULL OR s.not_before <= SYSDATE())
ORDER BY s.lane DESC, s.staged_at LIMIT :limit

-- query: count_queue
SELECT lane, state, COUNT(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: count_claimed
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = SYSDATE() WHERE run_id = :run_id

-- query: renew_claim
UPDATE enrichment_staging SET claim_expires_at = DATEADD(second, :lease_seconds, SYSDATE())
WHERE claimed_by = :token AND record_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: renew_reservations
UPDATE lookup_reservations SET reserved_until = DATEADD(second, :lease_seconds, SYSDATE())
WHERE reserved_by = :token

-- query: mark_run_seen
UPDATE enrichment_runs SET seen_at = SYSDATE() WHERE run_id = :run_id

-- query: lock_claim
-- An update that changes nothing takes the table's lock until the transaction ends.
UPDATE enrichment_staging SET claimed_by = claimed_by WHERE claimed_by = :token

-- query: read_held
SELECT record_id FROM enrichment_staging
WHERE claimed_by = :token AND record_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: count_runs_at_work
SELECT r.lane,
    COUNT(DISTINCT CASE WHEN CONTAINS(',' || REPLACE(r.provider, ' ', '') || ',', ',' || :provider || ',')
        THEN r.run_id END) AS at_provider,
    COUNT(DISTINCT CASE WHEN r.crm = :crm THEN r.run_id END) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE s.claim_expires_at >= SYSDATE()
GROUP BY r.lane

-- query: read_ended
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm
    AND crm_id IN (SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: read_fresh
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND disposition IN ('written', 'unchanged')
    AND finished_at > DATEADD(day, -1 * :fresh_days, SYSDATE())
    AND crm_id IN (SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: read_suppressed
SELECT c.key_hash, c.reason, DATE_PART(epoch_millisecond, c.suppressed_at) AS suppressed_at FROM suppressed_contacts c
WHERE c.key_hash IN (SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: suppress_keys
-- An erasure outranks an opt-out, whichever came first.
MERGE INTO suppressed_contacts t USING (
    SELECT DISTINCT f.value::VARCHAR AS key_hash
    FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) s
ON t.key_hash = s.key_hash
WHEN MATCHED AND :reason = 'erased' AND t.reason <> 'erased' THEN UPDATE SET reason = :reason, suppressed_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (key_hash, reason, suppressed_at) VALUES (s.key_hash, :reason, SYSDATE())

-- query: lock_credits
-- The first statement of reserve_requests waits until nobody else is reserving.
SELECT :provider AS held

-- query: read_credits
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- nobody knows whether it was billed.
SELECT
    (
        SELECT COALESCE(SUM(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= DATE_TRUNC('day', SYSDATE())) AS day_spent,
    (
        SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= DATE_TRUNC('day', SYSDATE())) AS day_reserved,
    (
        SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= DATE_TRUNC('day', SYSDATE())) AS day_doubtful,
    (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86400 - MOD(DATE_PART(epoch_second, SYSDATE()), 86400) AS seconds_left

-- query: note_doubt
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
SELECT :provider, :run_id, :credits, SYSDATE()

-- query: reserve_requests
-- The first statement waits until nobody else is reserving; only then does the second one begin, and see their rows.
UPDATE lookup_reservations SET reserved_until = SYSDATE() WHERE provider = '' AND request_key = '';
MERGE INTO lookup_reservations t USING (
    SELECT DISTINCT f.value::VARCHAR AS request_key
    FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) s
ON t.provider = :provider AND t.request_key = s.request_key
WHEN MATCHED AND (t.reserved_until < SYSDATE() OR t.reserved_by = :token) THEN UPDATE SET
    reserved_by = :token, reserved_until = DATEADD(second, :lease_seconds, SYSDATE()), run_id = :run_id,
    credits = :credits
WHEN NOT MATCHED THEN INSERT (provider, request_key, reserved_by, reserved_until, run_id, credits)
    VALUES (:provider, s.request_key, :token, DATEADD(second, :lease_seconds, SYSDATE()), :run_id, :credits)

-- query: note_requests
MERGE INTO contact_requests t USING (
    SELECT DISTINCT s.crm_id, s.crm, r.request_key, r.email_key
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['request_key']::VARCHAR AS request_key,
            f.value['email_key']::VARCHAR AS email_key
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token) s
ON t.crm_id = s.crm_id AND t.crm = s.crm AND t.provider = :provider AND t.request_key = s.request_key
WHEN NOT MATCHED THEN INSERT (crm_id, crm, provider, request_key, email_key)
    VALUES (s.crm_id, s.crm, :provider, s.request_key, s.email_key)

-- query: read_reservations
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: drop_reservations
DELETE FROM lookup_reservations
WHERE provider = :provider AND request_key IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: drop_claim_reservations
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: read_replies
SELECT p.request_key, p.reply, p.outcome, p.credits, p.api_version, p.request_id,
    DATE_PART(epoch_millisecond, p.received_at) AS received_at, p.run_id
FROM provider_replies p
WHERE p.provider = :provider
    AND p.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND p.received_at > DATEADD(day, -1 * :reply_days, SYSDATE())
    AND p.request_key IN (
        SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) q, LATERAL FLATTEN(INPUT => q.j) f)

-- query: keep_replies
-- A failed attempt never replaces a reply that was paid for.
MERGE INTO provider_replies t USING (
    SELECT f.value['request_key']::VARCHAR AS request_key, f.value['reply'] AS reply,
        f.value['outcome']::VARCHAR AS outcome, f.value['credits']::DOUBLE AS credits,
        f.value['api_version']::VARCHAR AS api_version, f.value['request_id']::VARCHAR AS request_id,
        f.value['outcome']::VARCHAR IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input') AS conclusive
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['request_key']::VARCHAR ORDER BY
            IFF(f.value['outcome']::VARCHAR IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input'), 0, 1),
            f.index DESC) = 1) s
ON t.provider = :provider AND t.request_key = s.request_key
WHEN MATCHED AND (
    s.conclusive OR t.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')) THEN UPDATE SET
    reply = s.reply, outcome = s.outcome, credits = s.credits, api_version = s.api_version, request_id = s.request_id,
    received_at = SYSDATE(), run_id = :run_id
WHEN NOT MATCHED THEN INSERT
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
    VALUES (:provider, s.request_key, s.reply, s.outcome, s.credits, s.api_version, s.request_id, SYSDATE(), :run_id)

-- query: summarise_journal
SELECT outcome, COUNT(*) AS replies, SUM(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: upsert_contacts
MERGE INTO enriched_contacts t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id,
        CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) AS enrichment_timestamp,
        f.value['company_name']::VARCHAR AS company_name, f.value['employee_count']::INTEGER AS employee_count,
        f.value['industry']::VARCHAR AS industry, f.value['tech_stack'] AS tech_stack,
        f.value['linkedin_url']::VARCHAR AS linkedin_url, f.value['intent_keywords']::ARRAY AS intent_keywords,
        f.value['provider']::VARCHAR AS provider, f.value['provider_record_id']::VARCHAR AS provider_record_id,
        f.value['confidence']::DOUBLE AS confidence, f.value['attributes'] AS attributes
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR
        ORDER BY CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) DESC, f.index DESC) = 1) s
ON t.crm = :crm AND t.crm_id = s.crm_id
WHEN MATCHED AND s.enrichment_timestamp >= t.enrichment_timestamp THEN UPDATE SET
    enrichment_timestamp = s.enrichment_timestamp, company_name = s.company_name, employee_count = s.employee_count,
    industry = s.industry, tech_stack = s.tech_stack, linkedin_url = s.linkedin_url,
    intent_keywords = s.intent_keywords, provider = s.provider, provider_record_id = s.provider_record_id,
    confidence = s.confidence, attributes = s.attributes, run_id = :run_id
WHEN NOT MATCHED THEN INSERT (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
    VALUES (:crm, s.crm_id, s.enrichment_timestamp, s.company_name, s.employee_count, s.industry, s.tech_stack,
    s.linkedin_url, s.intent_keywords, s.provider, s.provider_record_id, s.confidence, s.attributes, :run_id)

-- query: append_history
MERGE INTO enrichment_history t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id,
        CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) AS enrichment_timestamp,
        f.value['company_name']::VARCHAR AS company_name, f.value['employee_count']::INTEGER AS employee_count,
        f.value['industry']::VARCHAR AS industry, f.value['tech_stack'] AS tech_stack,
        f.value['linkedin_url']::VARCHAR AS linkedin_url, f.value['intent_keywords']::ARRAY AS intent_keywords,
        f.value['provider']::VARCHAR AS provider, f.value['provider_record_id']::VARCHAR AS provider_record_id,
        f.value['confidence']::DOUBLE AS confidence, f.value['attributes'] AS attributes
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR, f.value['provider']::VARCHAR,
            CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ)
        ORDER BY f.index) = 1) s
ON t.crm = :crm AND t.crm_id = s.crm_id AND t.provider = s.provider
    AND t.enrichment_timestamp = s.enrichment_timestamp
WHEN NOT MATCHED THEN INSERT (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
    VALUES (:crm, s.crm_id, s.enrichment_timestamp, s.company_name, s.employee_count, s.industry, s.tech_stack,
    s.linkedin_url, s.intent_keywords, s.provider, s.provider_record_id, s.confidence, s.attributes, :run_id)

-- query: upsert_unmatched
-- What people have reviewed stays reviewed while nothing about it has changed.
MERGE INTO unmatched_records t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id, f.value['lookup_identifier']::VARCHAR AS lookup_identifier,
        f.value['reason']::VARCHAR AS reason
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (PARTITION BY f.value['crm_id']::VARCHAR ORDER BY f.index DESC) = 1) s
ON t.crm = :crm AND t.crm_id = s.crm_id AND t.provider = :provider
WHEN MATCHED THEN UPDATE SET
    reviewed_at = IFF(t.reason = s.reason AND t.lookup_identifier IS NOT DISTINCT FROM s.lookup_identifier,
        t.reviewed_at, NULL),
    lookup_identifier = s.lookup_identifier, reason = s.reason, run_id = :run_id, unmatched_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (crm, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
    VALUES (:crm, s.crm_id, s.lookup_identifier, s.reason, :provider, :run_id, SYSDATE())

-- query: mark_enriched
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = SYSDATE(),
    request_key = COALESCE(NULLIF(r.request_key, ''), enrichment_staging.request_key)
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['request_key']::VARCHAR AS request_key
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.state IN ('claimed', 'enriched')
    AND enrichment_staging.record_id = r.record_id

-- query: read_enriched
SELECT c.crm_id, DATE_PART(epoch_millisecond, c.enrichment_timestamp) AS enrichment_timestamp, c.company_name,
    c.employee_count, c.industry, c.tech_stack, c.linkedin_url, c.intent_keywords, c.provider, c.provider_record_id,
    c.confidence, c.attributes
FROM enriched_contacts c
WHERE c.crm = :crm AND c.crm_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: plan_writes
MERGE INTO crm_writes t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id, f.value['field']::VARCHAR AS field,
        f.value['before']::VARCHAR AS before, f.value['after']::VARCHAR AS after
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR ORDER BY f.index DESC) = 1) s
ON t.crm = :crm AND t.crm_id = s.crm_id AND t.field = s.field AND t.run_id = :run_id
WHEN MATCHED AND t.written_at IS NULL THEN UPDATE SET before = s.before, after = s.after
WHEN NOT MATCHED THEN INSERT (crm, crm_id, field, before, after, run_id, planned_at)
    VALUES (:crm, s.crm_id, s.field, s.before, s.after, :run_id, SYSDATE())

-- query: read_open_writes
SELECT crm_id, field, after, run_id FROM crm_writes
WHERE crm = :crm AND written_at IS NULL AND crm_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: confirm_writes
UPDATE crm_writes SET written_at = SYSDATE()
WHERE crm = :crm AND written_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR, f.value['run_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: forget_open_writes
DELETE FROM crm_writes WHERE crm = :crm AND written_at IS NULL AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token)

-- query: write_ledger
MERGE INTO record_ledger t USING (
    SELECT s.record_id, s.crm, s.crm_id, r.disposition, r.reason,
        COALESCE(NULLIF(r.request_key, ''), s.request_key, '') AS request_key,
        s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['disposition']::VARCHAR AS disposition,
            f.value['reason']::VARCHAR AS reason, f.value['request_key']::VARCHAR AS request_key
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token
    QUALIFY ROW_NUMBER() OVER (PARTITION BY s.record_id ORDER BY s.staged_at) = 1) s
ON t.record_id = s.record_id
WHEN NOT MATCHED THEN INSERT (record_id, crm, crm_id, disposition, reason, request_key, lane, source, attempts,
    contact_created_at, staged_at, finished_at, run_id)
    VALUES (s.record_id, s.crm, s.crm_id, s.disposition, s.reason, s.request_key, s.lane, s.source, s.attempts,
    s.contact_created_at, s.staged_at, SYSDATE(), :run_id)

-- query: count_ended
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)
GROUP BY disposition

-- query: write_dead_letters
MERGE INTO failed_records t USING (
    SELECT s.record_id, s.crm, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail, s.attempts
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['disposition']::VARCHAR AS disposition,
            f.value['step']::VARCHAR AS step, f.value['reason']::VARCHAR AS reason, f.value['detail']::VARCHAR AS detail
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token AND r.disposition = 'failed'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY s.record_id ORDER BY s.staged_at) = 1) s
ON t.record_id = s.record_id
WHEN NOT MATCHED THEN INSERT
    (record_id, crm, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
    VALUES (s.record_id, s.crm, s.crm_id, s.email_address, s.lane, s.source, s.step, s.reason, s.detail, s.attempts,
    :run_id, SYSDATE())

-- query: restage_changed
-- The finished request has its ledger row by now, and its place is taken by a new one.
UPDATE enrichment_staging SET
    record_id = r.new_record_id,
    source = 'webhook',
    state = 'waiting',
    attempts = 0,
    not_before = NULL,
    processed_at = NULL,
    request_key = NULL,
    changed_at = NULL,
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    staged_at = SYSDATE()
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['new_record_id']::VARCHAR AS new_record_id
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.changed_at IS NOT NULL
    AND enrichment_staging.record_id = r.record_id

-- query: delete_finished
DELETE FROM enrichment_staging
WHERE claimed_by = :token AND record_id IN (
    SELECT f.value['record_id']::VARCHAR FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: return_records
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = DATEADD(millisecond, r.wait_milliseconds, SYSDATE()),
    attempts = enrichment_staging.attempts - IFF(r.costs_attempt, 0, 1)
FROM (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['costs_attempt']::BOOLEAN AS costs_attempt,
        ROUND(f.value['wait_seconds']::DOUBLE * 1000)::INTEGER AS wait_milliseconds
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.record_id = r.record_id

-- query: count_returned
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = SYSDATE() WHERE run_id = :run_id

-- query: abandon_runs
UPDATE enrichment_runs SET state = 'abandoned', finished_at = SYSDATE()
WHERE state = 'open' AND seen_at < DATEADD(second, -2 * :lease_seconds, SYSDATE())

-- query: open_run
MERGE INTO enrichment_runs t USING (SELECT :run_id AS run_id) s ON t.run_id = s.run_id
WHEN MATCHED THEN UPDATE SET state = 'open', seen_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
    VALUES (s.run_id, :flow_run_name, :provider, :crm, :lane, 'open', SYSDATE(), SYSDATE())

-- query: close_run
UPDATE enrichment_runs SET state = :state, finished_at = SYSDATE(), failure_rate = :failure_rate, credits = :credits,
    api_versions = PARSE_JSON(:api_versions), stop_kind = :stop_kind, alert_kind = :alert_kind, alert_sent = :alert_sent
WHERE run_id = :run_id

-- query: read_run
SELECT r.run_id, r.flow_run_name, r.provider, r.crm, r.lane, r.state,
    DATE_PART(epoch_millisecond, r.started_at) AS started_at, DATE_PART(epoch_millisecond, r.seen_at) AS seen_at,
    DATE_PART(epoch_millisecond, r.finished_at) AS finished_at, r.claimed, r.returned, r.failure_rate, r.credits,
    r.api_versions, r.stop_kind, r.alert_kind, r.alert_sent
FROM enrichment_runs r WHERE r.run_id = :run_id

-- query: read_last_run
SELECT r.run_id, r.flow_run_name, r.provider, r.crm, r.lane, r.state,
    DATE_PART(epoch_millisecond, r.started_at) AS started_at, DATE_PART(epoch_millisecond, r.seen_at) AS seen_at,
    DATE_PART(epoch_millisecond, r.finished_at) AS finished_at, r.claimed, r.returned, r.failure_rate, r.credits,
    r.api_versions, r.stop_kind, r.alert_kind, r.alert_sent
FROM enrichment_runs r
WHERE r.provider = :provider AND r.crm = :crm AND r.run_id <> :run_id AND r.state IN ('closed', 'failed')
    AND (r.claimed > 0 OR r.alert_kind <> '')
    AND (r.alert_kind = '' OR r.alert_sent)
ORDER BY r.finished_at DESC LIMIT 1

-- query: count_dispositions
SELECT disposition, COUNT(*) AS records FROM record_ledger WHERE run_id = :run_id GROUP BY disposition

-- query: forget_usage
DELETE FROM provider_usage WHERE run_id = :run_id

-- query: keep_usage
INSERT INTO provider_usage (run_id, provider, outcome, api_version, replies, credits, request_id, last_reply_at)
SELECT run_id, provider, outcome, api_version, replies, credits, request_id, received_at
FROM (
    SELECT run_id, provider, outcome, COALESCE(api_version, '') AS api_version, request_id, received_at,
        COUNT(*) OVER (PARTITION BY provider, outcome, COALESCE(api_version, '')) AS replies,
        SUM(credits) OVER (PARTITION BY provider, outcome, COALESCE(api_version, '')) AS credits,
        ROW_NUMBER() OVER (
            PARTITION BY provider, outcome, COALESCE(api_version, '') ORDER BY received_at DESC, request_key) AS place
    FROM provider_replies WHERE run_id = :run_id) r
WHERE place = 1

-- query: read_usage
SELECT provider, outcome, api_version, replies, credits, request_id, DATE_PART(epoch_millisecond, last_reply_at) AS last_reply_at FROM provider_usage
WHERE run_id = :run_id ORDER BY provider, outcome, api_version

-- query: read_versions_before
SELECT DISTINCT api_version FROM provider_usage
WHERE provider = :provider AND api_version <> '' AND run_id = (
    SELECT run_id FROM provider_usage WHERE provider = :provider AND run_id <> :run_id AND api_version <> ''
    ORDER BY last_reply_at DESC LIMIT 1)
ORDER BY api_version

-- query: count_failures
SELECT reason, step, COUNT(*) AS records, MIN(crm_id) AS example FROM failed_records
WHERE run_id = :run_id GROUP BY reason, step ORDER BY records DESC

-- query: read_written
SELECT w.crm_id, w.field, w.before, w.after FROM crm_writes w
WHERE w.run_id = :run_id AND w.crm = :crm AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
ORDER BY w.crm_id, w.field

-- query: read_clock
SELECT DATE_PART(epoch_millisecond, SYSDATE()) AS read_at

-- query: review_endings
SELECT e.disposition, e.earlier, COUNT(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > CAST(:since AS TIMESTAMP_NTZ) THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > CAST(:before AS TIMESTAMP_NTZ)) e
GROUP BY e.disposition, e.earlier

-- query: review_unmatched
SELECT u.reason, u.provider, COUNT(*) AS records, SUM(u.is_recent) AS recent, MIN(u.crm_id) AS example,
    DATE_PART(epoch_millisecond, MIN(u.unmatched_at)) AS oldest_at
FROM (
    SELECT reason, provider, crm_id, unmatched_at,
        CASE WHEN unmatched_at > CAST(:since AS TIMESTAMP_NTZ) THEN 1 ELSE 0 END AS is_recent
    FROM unmatched_records WHERE reviewed_at IS NULL) u
GROUP BY u.reason, u.provider ORDER BY records DESC, u.reason, u.provider

-- query: review_failures
SELECT f.reason, f.step, SUM(f.is_recent) AS records, SUM(f.waits) AS waiting, MIN(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > CAST(:since AS TIMESTAMP_NTZ) THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > CAST(:since AS TIMESTAMP_NTZ)) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_replies
SELECT p.provider, p.outcome, p.earlier, COUNT(*) AS replies, SUM(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > CAST(:since AS TIMESTAMP_NTZ) THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > CAST(:before AS TIMESTAMP_NTZ)) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
SELECT COUNT(*) AS contacts, COUNT(c.company_name) AS company_name, COUNT(c.employee_count) AS employee_count,
    COUNT(c.industry) AS industry, COUNT(c.linkedin_url) AS linkedin_url,
    COUNT(CASE WHEN ARRAY_SIZE(c.tech_stack) > 0 THEN 1 END) AS tech_stack,
    COUNT(CASE WHEN ARRAY_SIZE(c.intent_keywords) > 0 THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > CAST(:since AS TIMESTAMP_NTZ)

-- query: review_latency
SELECT t.begun, t.seconds, COUNT(*) AS records FROM (
    SELECT 'staged' AS begun,
        ROUND(DATEDIFF(millisecond, l.staged_at, l.finished_at) / 1000)::INTEGER AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > CAST(:since AS TIMESTAMP_NTZ)
    UNION ALL
    SELECT 'created' AS begun,
        ROUND(DATEDIFF(millisecond, l.contact_created_at, l.finished_at) / 1000)::INTEGER AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > CAST(:since AS TIMESTAMP_NTZ)
        AND l.contact_created_at > CAST(:since AS TIMESTAMP_NTZ)) t
GROUP BY t.begun, t.seconds

-- query: mark_reviewed
UPDATE unmatched_records SET reviewed_at = SYSDATE()
WHERE reviewed_at IS NULL AND unmatched_at <= CAST(:until AS TIMESTAMP_NTZ)

-- query: take_records
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = NULL,
    claim_expires_at = DATEADD(second, :lease_seconds, SYSDATE()),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END
WHERE crm = :crm AND crm_id = :crm_id

-- query: read_addresses
SELECT email_address FROM failed_records WHERE crm = :crm AND crm_id = :crm_id
UNION ALL SELECT lookup_identifier FROM unmatched_records WHERE crm = :crm AND crm_id = :crm_id

-- query: read_requests
SELECT provider, request_key, email_key FROM contact_requests WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_contact
DELETE FROM enriched_contacts WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_history
DELETE FROM enrichment_history WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_unmatched
DELETE FROM unmatched_records WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_writes
DELETE FROM crm_writes WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_dead_letters
DELETE FROM failed_records WHERE crm = :crm AND crm_id = :crm_id

-- query: forget_requests
DELETE FROM contact_requests WHERE crm = :crm AND crm_id = :crm_id

-- query: blank_replies
-- What a reply cost, and when, is no personal data, and keeps the sums right.
UPDATE provider_replies SET reply = NULL, request_id = NULL, outcome = 'erased'
WHERE provider = :provider AND outcome <> 'erased' AND request_key IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: blank_ledger
UPDATE record_ledger SET request_key = '' WHERE crm = :crm AND crm_id = :crm_id

-- query: story_staging
SELECT s.record_id, s.crm_id, s.email_address, DATE_PART(epoch_millisecond, s.processed_at) AS processed_at, s.crm,
    s.source, s.lane, s.state, s.attempts, DATE_PART(epoch_millisecond, s.not_before) AS not_before, s.claimed_by,
    s.claim_run_id, DATE_PART(epoch_millisecond, s.claim_expires_at) AS claim_expires_at,
    DATE_PART(epoch_millisecond, s.staged_at) AS staged_at,
    DATE_PART(epoch_millisecond, s.contact_created_at) AS contact_created_at, s.request_key
FROM enrichment_staging s WHERE s.crm_id = :crm_id AND (:crm = '' OR s.crm = :crm)

-- query: story_ledger
SELECT l.record_id, l.crm, l.crm_id, l.disposition, l.reason, l.request_key, l.lane, l.source, l.attempts,
    DATE_PART(epoch_millisecond, l.contact_created_at) AS contact_created_at,
    DATE_PART(epoch_millisecond, l.staged_at) AS staged_at,
    DATE_PART(epoch_millisecond, l.finished_at) AS finished_at, l.run_id, r.provider, r.flow_run_name
FROM record_ledger l LEFT JOIN enrichment_runs r ON r.run_id = l.run_id
WHERE l.crm_id = :crm_id AND (:crm = '' OR l.crm = :crm) ORDER BY l.finished_at

-- query: story_replies
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id,
    DATE_PART(epoch_millisecond, p.received_at) AS received_at, p.run_id
FROM provider_replies p
JOIN (
    SELECT DISTINCT provider, request_key FROM contact_requests
    WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)) q ON q.provider = p.provider AND q.request_key = p.request_key
ORDER BY p.received_at

-- query: story_contact
SELECT c.crm, c.crm_id, DATE_PART(epoch_millisecond, c.enrichment_timestamp) AS enrichment_timestamp, c.company_name,
    c.employee_count, c.industry, c.tech_stack, c.linkedin_url, c.intent_keywords, c.provider, c.provider_record_id,
    c.confidence, c.attributes, c.run_id
FROM enriched_contacts c WHERE c.crm_id = :crm_id AND (:crm = '' OR c.crm = :crm)

-- query: story_unmatched
SELECT u.crm, u.crm_id, u.lookup_identifier, u.reason, u.provider, u.run_id,
    DATE_PART(epoch_millisecond, u.unmatched_at) AS unmatched_at,
    DATE_PART(epoch_millisecond, u.reviewed_at) AS reviewed_at
FROM unmatched_records u WHERE u.crm_id = :crm_id AND (:crm = '' OR u.crm = :crm) ORDER BY u.unmatched_at

-- query: story_writes
SELECT w.crm, w.crm_id, w.field, w.before, w.after, w.run_id,
    DATE_PART(epoch_millisecond, w.planned_at) AS planned_at,
    DATE_PART(epoch_millisecond, w.written_at) AS written_at,
    DATE_PART(epoch_millisecond, w.reverted_at) AS reverted_at
FROM crm_writes w WHERE w.crm_id = :crm_id AND (:crm = '' OR w.crm = :crm) ORDER BY w.planned_at, w.field

-- query: story_failures
SELECT d.record_id, d.crm, d.crm_id, d.email_address, d.lane, d.source, d.step, d.reason, d.error, d.attempts,
    d.run_id, DATE_PART(epoch_millisecond, d.failed_at) AS failed_at,
    DATE_PART(epoch_millisecond, d.replayed_at) AS replayed_at
FROM failed_records d WHERE d.crm_id = :crm_id AND (:crm = '' OR d.crm = :crm) ORDER BY d.failed_at
