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
    record_id VARCHAR(256), new_record_id VARCHAR(256), crm VARCHAR(256), crm_id VARCHAR(256),
    email_address VARCHAR(1024), source VARCHAR(256), lane VARCHAR(256), contact_created_at VARCHAR(64),
    request_key VARCHAR(256), reply VARCHAR(65535), outcome VARCHAR(256), credits VARCHAR(64),
    api_version VARCHAR(256), request_id VARCHAR(256), enrichment_timestamp VARCHAR(64), company_name VARCHAR(4096),
    employee_count VARCHAR(64), industry VARCHAR(4096), tech_stack VARCHAR(65535), linkedin_url VARCHAR(4096),
    intent_keywords VARCHAR(65535), provider VARCHAR(256), provider_record_id VARCHAR(256), confidence VARCHAR(64),
    attributes VARCHAR(65535), lookup_identifier VARCHAR(4096), reason VARCHAR(4096), field VARCHAR(256),
    before VARCHAR(65535), after VARCHAR(65535), run_id VARCHAR(256), disposition VARCHAR(256), step VARCHAR(256),
    detail VARCHAR(65535), wait_seconds VARCHAR(64), costs_attempt VARCHAR(8), email_key VARCHAR(256)
)

-- session: make ids
CREATE TEMP TABLE IF NOT EXISTS batch_ids (value VARCHAR(1024))

-- session: fill rows
INSERT INTO batch_rows VALUES
(:record_id, :new_record_id, :crm, :crm_id, :email_address, :source, :lane, :contact_created_at, :request_key, :reply,
    :outcome, :credits, :api_version, :request_id, :enrichment_timestamp, :company_name, :employee_count, :industry,
    :tech_stack, :linkedin_url, :intent_keywords, :provider, :provider_record_id, :confidence, :attributes,
    :lookup_identifier, :reason, :field, :before, :after, :run_id, :disposition, :step, :detail, :wait_seconds,
    :costs_attempt, :email_key)

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

-- migration: 0001 queue, results, journal and books
CREATE TABLE enrichment_staging (
    record_id VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    email_address VARCHAR(1024),
    processed_at TIMESTAMP,
    crm VARCHAR(256) NOT NULL,
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
    request_key VARCHAR(256)
);

CREATE TABLE enriched_contacts (
    crm VARCHAR(256) NOT NULL,
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

CREATE TABLE unmatched_records (
    crm VARCHAR(256) NOT NULL,
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
    run_id VARCHAR(256) NOT NULL
);

CREATE TABLE lookup_reservations (
    provider VARCHAR(256) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    reserved_by VARCHAR(256) NOT NULL,
    reserved_until TIMESTAMP NOT NULL
);

CREATE TABLE crm_writes (
    crm VARCHAR(256) NOT NULL,
    crm_id VARCHAR(256) NOT NULL,
    field VARCHAR(256) NOT NULL,
    before VARCHAR(65535),
    after VARCHAR(65535),
    run_id VARCHAR(256) NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    written_at TIMESTAMP,
    reverted_at TIMESTAMP
);

CREATE TABLE failed_records (
    record_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
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

CREATE TABLE record_ledger (
    record_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
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
    run_id VARCHAR(256) NOT NULL
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
    alert_sent BOOLEAN
);

CREATE TABLE suppressed_contacts (
    key_hash VARCHAR(256) NOT NULL,
    reason VARCHAR(4096) NOT NULL,
    suppressed_at TIMESTAMP NOT NULL
);

CREATE TABLE event_cursors (
    name VARCHAR(256) NOT NULL,
    cursor VARCHAR(4096) NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

-- migration: 0002 what each provider cost
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

-- migration: 0003 pauses, and what is reserved
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

ALTER TABLE lookup_reservations ADD COLUMN run_id VARCHAR(256);
ALTER TABLE lookup_reservations ADD COLUMN credits DOUBLE PRECISION;

-- migration: 0004 when a contact changed while a run was at work on it
ALTER TABLE enrichment_staging ADD COLUMN changed_at TIMESTAMP;

-- migration: 0005 which requests were made for which contact
CREATE TABLE contact_requests (
    crm_id VARCHAR(256) NOT NULL,
    crm VARCHAR(256) NOT NULL,
    provider VARCHAR(256) NOT NULL,
    request_key VARCHAR(256) NOT NULL,
    email_key VARCHAR(256)
);

INSERT INTO contact_requests (crm_id, crm, provider, request_key)
SELECT DISTINCT l.crm_id, l.crm, p.provider, p.request_key
FROM (
    SELECT crm_id, crm, request_key FROM record_ledger
    UNION ALL SELECT crm_id, crm, request_key FROM enrichment_staging) l
JOIN provider_replies p ON p.request_key = l.request_key

-- query: promote_staged
UPDATE enrichment_staging SET lane = 'live'
FROM (SELECT DISTINCT crm, crm_id FROM :rows WHERE lane = 'live') r
WHERE enrichment_staging.lane = 'backfill'
    AND enrichment_staging.crm = r.crm AND enrichment_staging.crm_id = r.crm_id

-- query: stage_records
INSERT INTO enrichment_staging
    (record_id, crm, crm_id, email_address, source, lane, state, contact_created_at, staged_at)
SELECT r.record_id, r.crm, r.crm_id, r.email_address, r.source, r.lane, 'waiting', r.contact_created_at::TIMESTAMP,
    GETDATE()
FROM (
    SELECT b.*, ROW_NUMBER() OVER (PARTITION BY b.crm, b.crm_id ORDER BY b.lane DESC, b.record_id) AS place
    FROM :rows b) r
WHERE r.place = 1
    AND NOT EXISTS (SELECT 1 FROM enrichment_staging s WHERE s.crm = r.crm AND s.crm_id = r.crm_id)
    AND (r.source <> 'schedule' OR NOT EXISTS (
        SELECT 1 FROM record_ledger l WHERE l.crm = r.crm AND l.crm_id = r.crm_id))

-- query: note_changes
-- Whatever an event said of a contact in the queue, the CRM is asked how it is now; a run's work on it is done again.
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at ELSE GETDATE() END
FROM (SELECT DISTINCT crm, crm_id FROM :rows) r
WHERE enrichment_staging.crm = r.crm AND enrichment_staging.crm_id = r.crm_id

-- query: save_cursor
DELETE FROM event_cursors WHERE name = :name;
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (:name, :cursor, GETDATE())

-- query: read_cursor
SELECT cursor FROM event_cursors WHERE name = :name

-- query: begin_cursor
INSERT INTO event_cursors (name, cursor, updated_at)
SELECT :name, :cursor, GETDATE() WHERE NOT EXISTS (SELECT 1 FROM event_cursors WHERE name = :name)

-- query: advance_cursor
UPDATE event_cursors SET cursor = :cursor, updated_at = GETDATE()
WHERE name = :name AND cursor = :before

-- query: pause_lane
INSERT INTO paused_lanes (lane, paused_at)
SELECT :lane, GETDATE() WHERE NOT EXISTS (SELECT 1 FROM paused_lanes WHERE lane = :lane)

-- query: resume_lane
DELETE FROM paused_lanes WHERE lane = :lane

-- query: read_pauses
SELECT lane, paused_at FROM paused_lanes ORDER BY lane

-- query: read_waiting
SELECT crm_id FROM enrichment_staging WHERE crm = :crm AND crm_id IN (SELECT r.value FROM :ids r)

-- query: read_dead_letters
SELECT record_id, crm, crm_id, email_address, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id)

-- query: restage_dead_letters
INSERT INTO enrichment_staging (record_id, crm, crm_id, email_address, source, lane, state, staged_at)
SELECT r.new_record_id, r.crm, r.crm_id, r.email_address, 'manual', r.lane, 'waiting', GETDATE()
FROM (
    SELECT b.*, ROW_NUMBER() OVER (PARTITION BY b.crm, b.crm_id ORDER BY b.record_id) AS place FROM :rows b) r
WHERE r.place = 1 AND NOT EXISTS (SELECT 1 FROM enrichment_staging s WHERE s.crm = r.crm AND s.crm_id = r.crm_id)

-- query: mark_replayed
UPDATE failed_records SET replayed_at = GETDATE() WHERE record_id IN (SELECT r.record_id FROM :rows r)

-- query: claim_records
-- The condition stands twice on purpose: the lock makes claims serial, the outer one holds even without it.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = DATEADD(second, :lease_seconds, GETDATE()),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND (:lane = '' OR lane = :lane) AND lane NOT IN (SELECT lane FROM paused_lanes)
        AND (claimed_by IS NULL OR claim_expires_at < GETDATE())
        AND (not_before IS NULL OR not_before <= GETDATE())
    ORDER BY lane DESC, staged_at LIMIT :limit)
AND (claimed_by IS NULL OR claim_expires_at < GETDATE())

-- query: read_claim
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE claimed_by = :token ORDER BY staged_at, record_id

-- query: peek_records
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE crm = :crm AND (:lane = '' OR lane = :lane)
    AND (claimed_by IS NULL OR claim_expires_at < GETDATE())
    AND (not_before IS NULL OR not_before <= GETDATE())
ORDER BY lane DESC, staged_at LIMIT :limit

-- query: count_queue
SELECT lane, state, COUNT(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: count_claimed
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = GETDATE()
WHERE run_id = :run_id

-- query: renew_claim
UPDATE enrichment_staging SET claim_expires_at = DATEADD(second, :lease_seconds, GETDATE())
WHERE claimed_by = :token AND record_id IN (SELECT r.value FROM :ids r)

-- query: renew_reservations
UPDATE lookup_reservations SET reserved_until = DATEADD(second, :lease_seconds, GETDATE())
WHERE reserved_by = :token

-- query: mark_run_seen
UPDATE enrichment_runs SET seen_at = GETDATE() WHERE run_id = :run_id

-- query: lock_claim
-- Every writer holds the lock by now, so there is nothing left to lock.
SELECT COUNT(*) AS records FROM enrichment_staging WHERE claimed_by = :token

-- query: read_held
SELECT record_id FROM enrichment_staging WHERE claimed_by = :token AND record_id IN (SELECT r.value FROM :ids r)

-- query: count_runs_at_work
SELECT n.lane,
    COUNT(DISTINCT CASE WHEN STRPOS(',' || REPLACE(n.provider, ' ', '') || ',', ',' || :provider || ',') > 0
        THEN n.run_id END) AS at_provider,
    COUNT(DISTINCT CASE WHEN n.crm = :crm THEN n.run_id END) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs n ON n.run_id = s.claim_run_id
WHERE s.claim_expires_at >= GETDATE()
GROUP BY n.lane

-- query: read_ended
SELECT DISTINCT crm_id FROM record_ledger WHERE crm = :crm AND crm_id IN (SELECT r.value FROM :ids r)

-- query: read_fresh
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND crm_id IN (SELECT r.value FROM :ids r) AND disposition IN ('written', 'unchanged')
    AND finished_at > DATEADD(day, -:fresh_days, GETDATE())

-- query: read_suppressed
SELECT key_hash, reason, suppressed_at FROM suppressed_contacts
WHERE key_hash IN (SELECT r.value FROM :keys r)

-- query: suppress_keys
-- An erasure outranks an opt-out, whichever came first.
UPDATE suppressed_contacts SET reason = :reason, suppressed_at = GETDATE()
WHERE :reason = 'erased' AND reason <> 'erased' AND key_hash IN (SELECT r.value FROM :keys r);
INSERT INTO suppressed_contacts (key_hash, reason, suppressed_at)
SELECT r.value, :reason, GETDATE() FROM (SELECT DISTINCT value FROM :keys) r
WHERE NOT EXISTS (SELECT 1 FROM suppressed_contacts c WHERE c.key_hash = r.value)

-- query: lock_credits
-- Every writer holds the lock by now, so there is nothing left to lock.
SELECT :provider::VARCHAR(256) AS held

-- query: read_credits
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- nobody knows whether it was billed.
SELECT
    (
        SELECT COALESCE(SUM(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= DATE_TRUNC('day', GETDATE())) AS day_spent,
    (
        SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= DATE_TRUNC('day', GETDATE())) AS day_reserved,
    (
        SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= DATE_TRUNC('day', GETDATE())) AS day_doubtful,
    (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86400 - MOD(EXTRACT(epoch FROM GETDATE())::BIGINT, 86400) AS seconds_left

-- query: note_doubt
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
SELECT :provider, :run_id, :credits, GETDATE()

-- query: reserve_requests
DELETE FROM lookup_reservations
WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)
    AND (reserved_until < GETDATE() OR reserved_by = :token);
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until, run_id, credits)
SELECT :provider, r.value, :token, DATEADD(second, :lease_seconds, GETDATE()), :run_id, :credits
FROM (SELECT DISTINCT value FROM :keys) r
WHERE NOT EXISTS (SELECT 1 FROM lookup_reservations v WHERE v.provider = :provider AND v.request_key = r.value)

-- query: note_requests
INSERT INTO contact_requests (crm_id, crm, provider, request_key, email_key)
SELECT DISTINCT s.crm_id, s.crm, :provider::VARCHAR(256), r.request_key, r.email_key
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (
    SELECT 1 FROM contact_requests q
    WHERE q.crm_id = s.crm_id AND q.crm = s.crm AND q.provider = :provider AND q.request_key = r.request_key)

-- query: read_reservations
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key IN (SELECT r.value FROM :keys r)

-- query: drop_reservations
DELETE FROM lookup_reservations WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)

-- query: drop_claim_reservations
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: read_replies
SELECT request_key, JSON_SERIALIZE(reply) AS reply, outcome, credits, api_version, request_id, received_at, run_id
FROM provider_replies
WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)
    AND outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND received_at > DATEADD(day, -:reply_days, GETDATE())

-- query: keep_replies
-- A failed attempt never replaces a reply that was paid for.
DELETE FROM provider_replies USING :rows r
WHERE provider_replies.provider = :provider AND provider_replies.request_key = r.request_key
    AND (r.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
        OR provider_replies.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input'));
INSERT INTO provider_replies
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
SELECT :provider, r.request_key, JSON_PARSE(r.reply), r.outcome, r.credits::DOUBLE PRECISION, r.api_version,
    r.request_id, GETDATE(), :run_id
FROM :rows r
WHERE NOT EXISTS (SELECT 1 FROM provider_replies p WHERE p.provider = :provider AND p.request_key = r.request_key)

-- query: summarise_journal
SELECT outcome, COUNT(*) AS replies, SUM(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: upsert_contacts
DELETE FROM enriched_contacts USING :rows r
WHERE enriched_contacts.crm = :crm AND enriched_contacts.crm_id = r.crm_id
    AND r.enrichment_timestamp::TIMESTAMP >= enriched_contacts.enrichment_timestamp;
INSERT INTO enriched_contacts (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, r.crm_id, r.enrichment_timestamp::TIMESTAMP, r.company_name, r.employee_count::INTEGER, r.industry,
    JSON_PARSE(r.tech_stack), r.linkedin_url, JSON_PARSE(r.intent_keywords), r.provider, r.provider_record_id,
    r.confidence::DOUBLE PRECISION, JSON_PARSE(r.attributes), :run_id
FROM :rows r
WHERE NOT EXISTS (SELECT 1 FROM enriched_contacts c WHERE c.crm = :crm AND c.crm_id = r.crm_id)

-- query: append_history
INSERT INTO enrichment_history (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, r.crm_id, r.enrichment_timestamp::TIMESTAMP, r.company_name, r.employee_count::INTEGER, r.industry,
    JSON_PARSE(r.tech_stack), r.linkedin_url, JSON_PARSE(r.intent_keywords), r.provider, r.provider_record_id,
    r.confidence::DOUBLE PRECISION, JSON_PARSE(r.attributes), :run_id
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM enrichment_history h
    WHERE h.crm = :crm AND h.crm_id = r.crm_id AND h.provider = r.provider
        AND h.enrichment_timestamp = r.enrichment_timestamp::TIMESTAMP)

-- query: upsert_unmatched
-- What people have reviewed stays reviewed while nothing about it has changed.
UPDATE unmatched_records SET
    reviewed_at = CASE WHEN unmatched_records.reason = r.reason
        AND (unmatched_records.lookup_identifier = r.lookup_identifier
            OR unmatched_records.lookup_identifier IS NULL AND r.lookup_identifier IS NULL)
        THEN unmatched_records.reviewed_at END,
    lookup_identifier = r.lookup_identifier, reason = r.reason, run_id = :run_id, unmatched_at = GETDATE()
FROM :rows r
WHERE unmatched_records.crm = :crm AND unmatched_records.crm_id = r.crm_id
    AND unmatched_records.provider = :provider;
INSERT INTO unmatched_records (crm, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
SELECT :crm, r.crm_id, r.lookup_identifier, r.reason, :provider, :run_id, GETDATE()
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM unmatched_records u WHERE u.crm = :crm AND u.crm_id = r.crm_id AND u.provider = :provider)

-- query: mark_enriched
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = GETDATE(),
    request_key = COALESCE(NULLIF(r.request_key, ''), enrichment_staging.request_key)
FROM :rows r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.state IN ('claimed', 'enriched')
    AND enrichment_staging.record_id = r.record_id

-- query: read_enriched
SELECT crm_id, enrichment_timestamp, company_name, employee_count, industry, JSON_SERIALIZE(tech_stack) AS tech_stack,
    linkedin_url, JSON_SERIALIZE(intent_keywords) AS intent_keywords, provider, provider_record_id, confidence,
    JSON_SERIALIZE(attributes) AS attributes
FROM enriched_contacts
WHERE crm = :crm AND crm_id IN (SELECT r.value FROM :ids r)

-- query: plan_writes
DELETE FROM crm_writes USING :rows r
WHERE crm_writes.crm = :crm AND crm_writes.crm_id = r.crm_id AND crm_writes.field = r.field
    AND crm_writes.run_id = :run_id AND crm_writes.written_at IS NULL;
INSERT INTO crm_writes (crm, crm_id, field, before, after, run_id, planned_at)
SELECT :crm, r.crm_id, r.field, r.before, r.after, :run_id, GETDATE()
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM crm_writes w
    WHERE w.crm = :crm AND w.crm_id = r.crm_id AND w.field = r.field AND w.run_id = :run_id)

-- query: read_open_writes
SELECT crm_id, field, after, run_id FROM crm_writes
WHERE crm = :crm AND written_at IS NULL AND crm_id IN (SELECT r.value FROM :ids r)

-- query: confirm_writes
UPDATE crm_writes SET written_at = GETDATE()
FROM :rows r
WHERE crm_writes.crm = :crm AND crm_writes.written_at IS NULL AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: forget_open_writes
DELETE FROM crm_writes WHERE crm = :crm AND written_at IS NULL AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s JOIN :rows r ON r.record_id = s.record_id WHERE s.claimed_by = :token)

-- query: write_ledger
INSERT INTO record_ledger (record_id, crm, crm_id, disposition, reason, request_key, lane, source, attempts,
    contact_created_at, staged_at, finished_at, run_id)
SELECT s.record_id, s.crm, s.crm_id, r.disposition, r.reason, COALESCE(NULLIF(r.request_key, ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, GETDATE(), :run_id
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = s.record_id)

-- query: count_ended
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN (SELECT r.value FROM :ids r) GROUP BY disposition

-- query: write_dead_letters
INSERT INTO failed_records
    (record_id, crm, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail, s.attempts,
    :run_id, GETDATE()
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND r.disposition = 'failed'
    AND NOT EXISTS (SELECT 1 FROM failed_records f WHERE f.record_id = s.record_id)

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
    staged_at = GETDATE()
FROM :rows r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.changed_at IS NOT NULL
    AND enrichment_staging.record_id = r.record_id

-- query: delete_finished
DELETE FROM enrichment_staging WHERE claimed_by = :token AND record_id IN (SELECT r.record_id FROM :rows r)

-- query: return_records
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = DATEADD(second, CEILING(r.wait_seconds::DOUBLE PRECISION)::INTEGER, GETDATE()),
    attempts = enrichment_staging.attempts - CASE r.costs_attempt WHEN 'true' THEN 0 ELSE 1 END
FROM :rows r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.record_id = r.record_id

-- query: count_returned
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = GETDATE()
WHERE run_id = :run_id

-- query: abandon_runs
UPDATE enrichment_runs SET state = 'abandoned', finished_at = GETDATE()
WHERE state = 'open' AND seen_at < DATEADD(second, -2 * :lease_seconds, GETDATE())

-- query: open_run
UPDATE enrichment_runs SET state = 'open', seen_at = GETDATE() WHERE run_id = :run_id;
INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
SELECT :run_id, :flow_run_name, :provider, :crm, :lane, 'open', GETDATE(), GETDATE()
WHERE NOT EXISTS (SELECT 1 FROM enrichment_runs n WHERE n.run_id = :run_id)

-- query: close_run
UPDATE enrichment_runs SET state = :state, finished_at = GETDATE(),
    failure_rate = :failure_rate, credits = :credits, api_versions = JSON_PARSE(:api_versions), stop_kind = :stop_kind,
    alert_kind = :alert_kind, alert_sent = :alert_sent
WHERE run_id = :run_id

-- query: read_run
SELECT run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, finished_at, claimed, returned,
    failure_rate, credits, JSON_SERIALIZE(api_versions) AS api_versions, stop_kind, alert_kind, alert_sent
FROM enrichment_runs WHERE run_id = :run_id

-- query: read_last_run
SELECT run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, finished_at, claimed, returned,
    failure_rate, credits, JSON_SERIALIZE(api_versions) AS api_versions, stop_kind, alert_kind, alert_sent
FROM enrichment_runs
WHERE provider = :provider AND crm = :crm AND run_id <> :run_id AND state IN ('closed', 'failed')
    AND (claimed > 0 OR alert_kind <> '')
    AND (alert_kind = '' OR alert_sent)
ORDER BY finished_at DESC LIMIT 1

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
SELECT provider, outcome, api_version, replies, credits, request_id, last_reply_at FROM provider_usage
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
SELECT GETDATE() AS read_at

-- query: review_endings
SELECT e.disposition, e.earlier, COUNT(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > :since::TIMESTAMP THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > :before::TIMESTAMP) e
GROUP BY e.disposition, e.earlier

-- query: review_unmatched
SELECT u.reason, u.provider, COUNT(*) AS records, SUM(u.is_recent) AS recent, MIN(u.crm_id) AS example,
    MIN(u.unmatched_at) AS oldest_at
FROM (
    SELECT reason, provider, crm_id, unmatched_at,
        CASE WHEN unmatched_at > :since::TIMESTAMP THEN 1 ELSE 0 END AS is_recent
    FROM unmatched_records WHERE reviewed_at IS NULL) u
GROUP BY u.reason, u.provider ORDER BY records DESC, u.reason, u.provider

-- query: review_failures
SELECT f.reason, f.step, SUM(f.is_recent) AS records, SUM(f.waits) AS waiting, MIN(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > :since::TIMESTAMP THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > :since::TIMESTAMP) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_replies
SELECT p.provider, p.outcome, p.earlier, COUNT(*) AS replies, SUM(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > :since::TIMESTAMP THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > :before::TIMESTAMP) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
SELECT COUNT(*) AS contacts, COUNT(c.company_name) AS company_name, COUNT(c.employee_count) AS employee_count,
    COUNT(c.industry) AS industry, COUNT(c.linkedin_url) AS linkedin_url,
    COUNT(CASE WHEN JSON_SERIALIZE(c.tech_stack) NOT IN ('null', '[]') THEN 1 END) AS tech_stack,
    COUNT(CASE WHEN JSON_SERIALIZE(c.intent_keywords) NOT IN ('null', '[]') THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > :since::TIMESTAMP

-- query: review_latency
SELECT t.begun, t.seconds, COUNT(*) AS records FROM (
    SELECT 'staged'::VARCHAR(256) AS begun,
        EXTRACT(EPOCH FROM l.finished_at)::BIGINT - EXTRACT(EPOCH FROM l.staged_at)::BIGINT AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > :since::TIMESTAMP
    UNION ALL
    SELECT 'created'::VARCHAR(256) AS begun,
        EXTRACT(EPOCH FROM l.finished_at)::BIGINT - EXTRACT(EPOCH FROM l.contact_created_at)::BIGINT AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > :since::TIMESTAMP
        AND l.contact_created_at > :since::TIMESTAMP) t
GROUP BY t.begun, t.seconds

-- query: mark_reviewed
UPDATE unmatched_records SET reviewed_at = GETDATE()
WHERE reviewed_at IS NULL AND unmatched_at <= :until::TIMESTAMP

-- query: take_records
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = NULL,
    claim_expires_at = DATEADD(second, :lease_seconds, GETDATE()),
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
WHERE provider = :provider AND outcome <> 'erased' AND request_key IN (SELECT r.value FROM :keys r)

-- query: blank_ledger
UPDATE record_ledger SET request_key = '' WHERE crm = :crm AND crm_id = :crm_id

-- query: story_staging
SELECT * FROM enrichment_staging WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_ledger
SELECT l.*, n.provider, n.flow_run_name FROM record_ledger l LEFT JOIN enrichment_runs n ON n.run_id = l.run_id
WHERE l.crm_id = :crm_id AND (:crm = '' OR l.crm = :crm) ORDER BY l.finished_at

-- query: story_replies
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id, p.received_at, p.run_id
FROM provider_replies p
JOIN (
    SELECT DISTINCT provider, request_key FROM contact_requests
    WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)) q ON q.provider = p.provider AND q.request_key = p.request_key
ORDER BY p.received_at

-- query: story_contact
SELECT crm, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    JSON_SERIALIZE(tech_stack) AS tech_stack, linkedin_url, JSON_SERIALIZE(intent_keywords) AS intent_keywords,
    provider, provider_record_id, confidence, JSON_SERIALIZE(attributes) AS attributes, run_id
FROM enriched_contacts WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_unmatched
SELECT * FROM unmatched_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY unmatched_at

-- query: story_writes
SELECT * FROM crm_writes WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY planned_at, field

-- query: story_failures
SELECT * FROM failed_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY failed_at
