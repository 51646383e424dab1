-- PostgreSQL 14 or newer. Everything stands in the schema that the block names (enrichment_pipeline), which is first on
-- the search path.

-- migration: 0001 queue, results, journal and books
CREATE TABLE enrichment_staging (
    record_id TEXT PRIMARY KEY,
    crm_id TEXT NOT NULL,
    email_address TEXT,
    processed_at TIMESTAMPTZ,
    crm TEXT NOT NULL,
    source TEXT NOT NULL,
    lane TEXT NOT NULL CHECK (lane IN ('live', 'backfill')),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'claimed', 'enriched')),
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before TIMESTAMPTZ,
    claimed_by TEXT,
    claim_run_id TEXT,
    claim_expires_at TIMESTAMPTZ,
    staged_at TIMESTAMPTZ NOT NULL,
    contact_created_at TIMESTAMPTZ,
    request_key TEXT,
    CHECK (state <> 'claimed' OR claimed_by IS NOT NULL),
    UNIQUE (crm, crm_id)
);
CREATE INDEX staging_order ON enrichment_staging (crm, lane, staged_at);
CREATE INDEX staging_claims ON enrichment_staging (claimed_by) WHERE claimed_by IS NOT NULL;

CREATE TABLE enriched_contacts (
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    enrichment_timestamp TIMESTAMPTZ NOT NULL,
    company_name TEXT,
    employee_count INTEGER,
    industry TEXT,
    tech_stack JSONB,
    linkedin_url TEXT,
    intent_keywords JSONB,
    provider TEXT NOT NULL,
    provider_record_id TEXT,
    confidence DOUBLE PRECISION,
    attributes JSONB,
    run_id TEXT NOT NULL,
    PRIMARY KEY (crm, crm_id)
);

CREATE TABLE enrichment_history (
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    enrichment_timestamp TIMESTAMPTZ NOT NULL,
    company_name TEXT,
    employee_count INTEGER,
    industry TEXT,
    tech_stack JSONB,
    linkedin_url TEXT,
    intent_keywords JSONB,
    provider TEXT NOT NULL,
    provider_record_id TEXT,
    confidence DOUBLE PRECISION,
    attributes JSONB,
    run_id TEXT NOT NULL
);
CREATE INDEX history_of_contact ON enrichment_history (crm, crm_id);

CREATE TABLE unmatched_records (
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    lookup_identifier TEXT,
    reason TEXT NOT NULL,
    provider TEXT NOT NULL,
    run_id TEXT NOT NULL,
    unmatched_at TIMESTAMPTZ NOT NULL,
    reviewed_at TIMESTAMPTZ,
    PRIMARY KEY (crm, crm_id, provider)
);

CREATE TABLE provider_replies (
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    reply JSONB,
    outcome TEXT NOT NULL,
    credits DOUBLE PRECISION NOT NULL DEFAULT 0,
    api_version TEXT,
    request_id TEXT,
    received_at TIMESTAMPTZ NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (provider, request_key)
);
CREATE INDEX replies_of_run ON provider_replies (run_id);

CREATE TABLE lookup_reservations (
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    reserved_by TEXT NOT NULL,
    reserved_until TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (provider, request_key)
);
CREATE INDEX reservations_of_claim ON lookup_reservations (reserved_by);

CREATE TABLE crm_writes (
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    run_id TEXT NOT NULL,
    planned_at TIMESTAMPTZ NOT NULL,
    written_at TIMESTAMPTZ,
    reverted_at TIMESTAMPTZ,
    PRIMARY KEY (crm, crm_id, field, run_id)
);
CREATE INDEX open_writes ON crm_writes (crm, crm_id) WHERE written_at IS NULL;

CREATE TABLE failed_records (
    record_id TEXT PRIMARY KEY,
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    email_address TEXT,
    lane TEXT NOT NULL,
    source TEXT NOT NULL,
    step TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    run_id TEXT NOT NULL,
    failed_at TIMESTAMPTZ NOT NULL,
    replayed_at TIMESTAMPTZ
);

CREATE TABLE record_ledger (
    record_id TEXT PRIMARY KEY,
    crm TEXT NOT NULL,
    crm_id TEXT NOT NULL,
    disposition TEXT NOT NULL CHECK (disposition IN
        ('written', 'unchanged', 'unmatched', 'suppressed', 'invalid', 'skipped_fresh', 'failed')),
    reason TEXT NOT NULL,
    request_key TEXT NOT NULL,
    lane TEXT NOT NULL,
    source TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    contact_created_at TIMESTAMPTZ,
    staged_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ NOT NULL,
    run_id TEXT NOT NULL
);
CREATE INDEX ledger_of_contact ON record_ledger (crm, crm_id);
CREATE INDEX ledger_of_run ON record_ledger (run_id);

CREATE TABLE enrichment_runs (
    run_id TEXT PRIMARY KEY,
    flow_run_name TEXT NOT NULL,
    provider TEXT NOT NULL,
    crm TEXT NOT NULL,
    lane TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'failed', 'abandoned')),
    started_at TIMESTAMPTZ NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    claimed INTEGER NOT NULL DEFAULT 0,
    returned INTEGER NOT NULL DEFAULT 0,
    failure_rate DOUBLE PRECISION,
    credits DOUBLE PRECISION,
    api_versions JSONB,
    stop_kind TEXT,
    alert_kind TEXT,
    alert_sent BOOLEAN
);

CREATE TABLE suppressed_contacts (
    key_hash TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    suppressed_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE event_cursors (
    name TEXT PRIMARY KEY,
    cursor TEXT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);

-- migration: 0002 what each provider cost
CREATE TABLE provider_usage (
    run_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    outcome TEXT NOT NULL,
    api_version TEXT NOT NULL,
    replies INTEGER NOT NULL,
    credits DOUBLE PRECISION NOT NULL,
    request_id TEXT,
    last_reply_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (run_id, provider, outcome, api_version)
);
CREATE INDEX usage_of_provider ON provider_usage (provider, last_reply_at);

-- migration: 0003 pauses, and what is reserved
CREATE TABLE paused_lanes (
    lane TEXT PRIMARY KEY,
    paused_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE doubtful_credits (
    provider TEXT NOT NULL,
    run_id TEXT NOT NULL,
    credits DOUBLE PRECISION NOT NULL,
    noted_at TIMESTAMPTZ NOT NULL
);

ALTER TABLE lookup_reservations ADD COLUMN run_id TEXT, ADD COLUMN credits DOUBLE PRECISION;
CREATE INDEX replies_of_day ON provider_replies (provider, received_at, credits);

-- migration: 0004 when a contact changed while a run was at work on it
ALTER TABLE enrichment_staging ADD COLUMN changed_at TIMESTAMPTZ;

-- migration: 0005 which requests were made for which contact
CREATE TABLE contact_requests (
    crm_id TEXT NOT NULL,
    crm TEXT NOT NULL,
    provider TEXT NOT NULL,
    request_key TEXT NOT NULL,
    email_key TEXT,
    PRIMARY KEY (crm_id, crm, provider, request_key)
);

INSERT INTO contact_requests (crm_id, crm, provider, request_key)
SELECT DISTINCT l.crm_id, l.crm, p.provider, p.request_key
FROM (
    SELECT crm_id, crm, request_key FROM record_ledger
    UNION ALL SELECT crm_id, crm, request_key FROM enrichment_staging) l
JOIN provider_replies p ON p.request_key = l.request_key;

-- query: promote_staged
UPDATE enrichment_staging SET lane = 'live'
WHERE lane = 'backfill' AND (crm, crm_id) IN (
    SELECT value ->> 'crm', value ->> 'crm_id' FROM jsonb_array_elements(:rows::jsonb) AS r(value) WHERE value ->> 'lane' = 'live')

-- query: stage_records
INSERT INTO enrichment_staging
    (record_id, crm, crm_id, email_address, source, lane, state, contact_created_at, staged_at)
SELECT value ->> 'record_id', value ->> 'crm', value ->> 'crm_id', value ->> 'email_address', value ->> 'source',
    value ->> 'lane', 'waiting', (value ->> 'contact_created_at')::timestamptz, now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE value ->> 'source' <> 'schedule' OR NOT EXISTS (
    SELECT 1 FROM record_ledger l WHERE l.crm = value ->> 'crm' AND l.crm_id = value ->> 'crm_id')
ON CONFLICT (crm, crm_id) DO NOTHING

-- query: note_changes
-- Whatever an event said of a contact in the queue, the CRM is asked how it is now; a run's work on it is done again.
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE state WHEN 'waiting' THEN changed_at ELSE now() END
WHERE (crm, crm_id) IN (
    SELECT value ->> 'crm', value ->> 'crm_id' FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: save_cursor
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (:name, :cursor, now())
ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor, updated_at = excluded.updated_at

-- query: read_cursor
SELECT cursor FROM event_cursors WHERE name = :name

-- query: begin_cursor
INSERT INTO event_cursors (name, cursor, updated_at) VALUES (:name, :cursor, now())
ON CONFLICT (name) DO NOTHING

-- query: advance_cursor
UPDATE event_cursors SET cursor = :cursor, updated_at = now()
WHERE name = :name AND cursor = :before

-- query: pause_lane
INSERT INTO paused_lanes (lane, paused_at) VALUES (:lane, now())
ON CONFLICT (lane) DO NOTHING

-- query: resume_lane
DELETE FROM paused_lanes WHERE lane = :lane

-- query: read_pauses
SELECT lane, paused_at FROM paused_lanes ORDER BY lane

-- query: read_waiting
SELECT crm_id FROM enrichment_staging WHERE crm = :crm AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: read_dead_letters
SELECT record_id, crm, crm_id, email_address, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id)

-- query: restage_dead_letters
INSERT INTO enrichment_staging (record_id, crm, crm_id, email_address, source, lane, state, staged_at)
SELECT value ->> 'new_record_id', value ->> 'crm', value ->> 'crm_id', value ->> 'email_address', 'manual',
    value ->> 'lane', 'waiting', now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (crm, crm_id) DO NOTHING

-- query: mark_replayed
UPDATE failed_records SET replayed_at = now()
WHERE record_id IN (SELECT value ->> 'record_id' FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: claim_records
-- The condition stands twice on purpose: the outer one is judged again at the moment of the update.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = now() + make_interval(secs => :lease_seconds),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND (:lane = '' OR lane = :lane) AND lane NOT IN (SELECT lane FROM paused_lanes)
        AND (claimed_by IS NULL OR claim_expires_at < now())
        AND (not_before IS NULL OR not_before <= now())
    ORDER BY lane DESC, staged_at LIMIT :limit FOR UPDATE SKIP LOCKED)
AND (claimed_by IS NULL OR claim_expires_at < now())

-- query: read_claim
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE claimed_by = :token ORDER BY staged_at, record_id

-- query: peek_records
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE crm = :crm AND (:lane = '' OR lane = :lane)
    AND (claimed_by IS NULL OR claim_expires_at < now())
    AND (not_before IS NULL OR not_before <= now())
ORDER BY lane DESC, staged_at LIMIT :limit

-- query: count_queue
SELECT lane, state, count(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: count_claimed
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = now()
WHERE run_id = :run_id

-- query: renew_claim
UPDATE enrichment_staging
SET claim_expires_at = now() + make_interval(secs => :lease_seconds)
WHERE claimed_by = :token AND record_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: renew_reservations
UPDATE lookup_reservations
SET reserved_until = now() + make_interval(secs => :lease_seconds)
WHERE reserved_by = :token

-- query: mark_run_seen
UPDATE enrichment_runs SET seen_at = now() WHERE run_id = :run_id

-- query: lock_claim
SELECT record_id FROM enrichment_staging WHERE claimed_by = :token ORDER BY record_id FOR UPDATE

-- query: read_held
SELECT record_id FROM enrichment_staging
WHERE claimed_by = :token AND record_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: count_runs_at_work
SELECT r.lane,
    count(DISTINCT r.run_id) FILTER (
        WHERE strpos(',' || replace(r.provider, ' ', '') || ',', ',' || :provider || ',') > 0) AS at_provider,
    count(DISTINCT r.run_id) FILTER (WHERE r.crm = :crm) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE s.claim_expires_at >= now()
GROUP BY r.lane

-- query: read_ended
SELECT DISTINCT crm_id FROM record_ledger WHERE crm = :crm AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: read_fresh
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb)) AND disposition IN ('written', 'unchanged')
    AND finished_at > now() - make_interval(days => :fresh_days)

-- query: read_suppressed
SELECT key_hash, reason, suppressed_at FROM suppressed_contacts
WHERE key_hash IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- query: suppress_keys
INSERT INTO suppressed_contacts (key_hash, reason, suppressed_at)
SELECT DISTINCT value, :reason, now() FROM jsonb_array_elements_text(:keys::jsonb) AS value
ON CONFLICT (key_hash) DO UPDATE SET reason = excluded.reason, suppressed_at = excluded.suppressed_at
-- An erasure outranks an opt-out, whichever came first.
WHERE excluded.reason = 'erased' AND suppressed_contacts.reason <> 'erased'

-- query: lock_credits
-- Reservations that aren't committed yet can't be counted, so those who count go one after the other.
SELECT pg_advisory_xact_lock(hashtext('credits of ' || :provider))::text AS held

-- query: read_credits
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- nobody knows whether it was billed.
SELECT
    (
        SELECT coalesce(sum(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= date_trunc('day', now())) AS day_spent,
    (
        SELECT coalesce(sum(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= date_trunc('day', now())) AS day_reserved,
    (
        SELECT coalesce(sum(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= date_trunc('day', now())) AS day_doubtful,
    (SELECT coalesce(sum(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT coalesce(sum(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT coalesce(sum(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86400 - extract(epoch FROM now())::bigint % 86400 AS seconds_left

-- query: note_doubt
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
VALUES (:provider, :run_id, :credits, now())

-- query: reserve_requests
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until, run_id, credits)
SELECT :provider, value, :token, now() + make_interval(secs => :lease_seconds), :run_id, :credits
FROM jsonb_array_elements_text(:keys::jsonb) AS value
ON CONFLICT (provider, request_key) DO UPDATE
SET reserved_by = excluded.reserved_by, reserved_until = excluded.reserved_until,
    run_id = excluded.run_id, credits = excluded.credits
WHERE lookup_reservations.reserved_until < now()
    OR lookup_reservations.reserved_by = excluded.reserved_by

-- query: note_requests
INSERT INTO contact_requests (crm_id, crm, provider, request_key, email_key)
SELECT s.crm_id, s.crm, :provider, r.value ->> 'request_key', r.value ->> 'email_key'
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token
ON CONFLICT (crm_id, crm, provider, request_key) DO NOTHING

-- query: read_reservations
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- query: drop_reservations
DELETE FROM lookup_reservations
WHERE provider = :provider AND request_key IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- query: drop_claim_reservations
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: read_replies
SELECT request_key, reply, outcome, credits, api_version, request_id, received_at, run_id FROM provider_replies
WHERE provider = :provider AND request_key IN (SELECT jsonb_array_elements_text(:keys::jsonb))
    AND outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND received_at > now() - make_interval(days => :reply_days)

-- query: keep_replies
INSERT INTO provider_replies
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
SELECT :provider, value ->> 'request_key', value -> 'reply', value ->> 'outcome', (value ->> 'credits')::double precision,
    value ->> 'api_version', value ->> 'request_id', now(), :run_id
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (provider, request_key) DO UPDATE SET
    reply = excluded.reply, outcome = excluded.outcome, credits = excluded.credits, api_version = excluded.api_version,
    request_id = excluded.request_id, received_at = excluded.received_at, run_id = excluded.run_id
-- A failed attempt never replaces a reply that was paid for.
WHERE excluded.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    OR provider_replies.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')

-- query: summarise_journal
SELECT outcome, count(*) AS replies, sum(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: upsert_contacts
INSERT INTO enriched_contacts (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, value ->> 'crm_id', (value ->> 'enrichment_timestamp')::timestamptz, value ->> 'company_name',
    (value ->> 'employee_count')::integer, value ->> 'industry', value -> 'tech_stack', value ->> 'linkedin_url',
    value -> 'intent_keywords', value ->> 'provider', value ->> 'provider_record_id', (value ->> 'confidence')::double precision,
    value -> 'attributes', :run_id
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (crm, crm_id) DO UPDATE SET
    enrichment_timestamp = excluded.enrichment_timestamp, company_name = excluded.company_name,
    employee_count = excluded.employee_count, industry = excluded.industry, tech_stack = excluded.tech_stack,
    linkedin_url = excluded.linkedin_url, intent_keywords = excluded.intent_keywords, provider = excluded.provider,
    provider_record_id = excluded.provider_record_id, confidence = excluded.confidence,
    attributes = excluded.attributes, run_id = excluded.run_id
WHERE excluded.enrichment_timestamp >= enriched_contacts.enrichment_timestamp

-- query: append_history
INSERT INTO enrichment_history (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, value ->> 'crm_id', (value ->> 'enrichment_timestamp')::timestamptz, value ->> 'company_name',
    (value ->> 'employee_count')::integer, value ->> 'industry', value -> 'tech_stack', value ->> 'linkedin_url',
    value -> 'intent_keywords', value ->> 'provider', value ->> 'provider_record_id', (value ->> 'confidence')::double precision,
    value -> 'attributes', :run_id
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE NOT EXISTS (
    SELECT 1 FROM enrichment_history h
    WHERE h.crm = :crm AND h.crm_id = r.value ->> 'crm_id' AND h.provider = r.value ->> 'provider'
        AND h.enrichment_timestamp = (r.value ->> 'enrichment_timestamp')::timestamptz)

-- query: upsert_unmatched
INSERT INTO unmatched_records (crm, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
SELECT :crm, value ->> 'crm_id', value ->> 'lookup_identifier', value ->> 'reason', :provider, :run_id,
    now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (crm, crm_id, provider) DO UPDATE SET
    -- What people have reviewed stays reviewed while nothing about it has changed.
    reviewed_at = CASE WHEN unmatched_records.reason = excluded.reason
        AND unmatched_records.lookup_identifier IS NOT DISTINCT FROM excluded.lookup_identifier
        THEN unmatched_records.reviewed_at END,
    lookup_identifier = excluded.lookup_identifier, reason = excluded.reason, run_id = excluded.run_id,
    unmatched_at = excluded.unmatched_at

-- query: mark_enriched
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = now(),
    request_key = coalesce(nullif(r.value ->> 'request_key', ''), enrichment_staging.request_key)
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE claimed_by = :token AND state IN ('claimed', 'enriched') AND record_id = r.value ->> 'record_id'

-- query: read_enriched
SELECT crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack, linkedin_url, intent_keywords,
    provider, provider_record_id, confidence, attributes
FROM enriched_contacts
WHERE crm = :crm AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: plan_writes
INSERT INTO crm_writes (crm, crm_id, field, before, after, run_id, planned_at)
SELECT :crm, value ->> 'crm_id', value ->> 'field', value ->> 'before', value ->> 'after', :run_id,
    now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (crm, crm_id, field, run_id) DO UPDATE SET before = excluded.before, after = excluded.after
WHERE crm_writes.written_at IS NULL

-- query: read_open_writes
SELECT crm_id, field, after, run_id FROM crm_writes
WHERE crm = :crm AND written_at IS NULL AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb))

-- query: confirm_writes
UPDATE crm_writes SET written_at = now()
WHERE crm = :crm AND written_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT value ->> 'crm_id', value ->> 'field', value ->> 'run_id' FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: forget_open_writes
DELETE FROM crm_writes WHERE crm = :crm AND written_at IS NULL AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s JOIN jsonb_array_elements(:rows::jsonb) AS r(value) ON r.value ->> 'record_id' = s.record_id
    WHERE s.claimed_by = :token)

-- query: write_ledger
INSERT INTO record_ledger (record_id, crm, crm_id, disposition, reason, request_key, lane, source, attempts,
    contact_created_at, staged_at, finished_at, run_id)
SELECT s.record_id, s.crm, s.crm_id, r.value ->> 'disposition', r.value ->> 'reason',
    coalesce(nullif(r.value ->> 'request_key', ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, now(), :run_id
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token

-- query: count_ended
SELECT disposition, count(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN (SELECT jsonb_array_elements_text(:ids::jsonb)) GROUP BY disposition

-- query: write_dead_letters
INSERT INTO failed_records
    (record_id, crm, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.crm_id, s.email_address, s.lane, s.source, r.value ->> 'step', r.value ->> 'reason',
    r.value ->> 'detail', s.attempts, :run_id, now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token AND r.value ->> 'disposition' = 'failed'

-- query: restage_changed
-- The finished request has its ledger row by now, and its place is taken by a new one.
UPDATE enrichment_staging SET
    record_id = r.value ->> 'new_record_id',
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
    staged_at = now()
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE claimed_by = :token AND changed_at IS NOT NULL AND record_id = r.value ->> 'record_id'

-- query: delete_finished
DELETE FROM enrichment_staging
WHERE claimed_by = :token AND record_id IN (SELECT value ->> 'record_id' FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- query: return_records
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = now() + make_interval(secs => (r.value ->> 'wait_seconds')::double precision),
    attempts = attempts - CASE WHEN (r.value ->> 'costs_attempt')::boolean THEN 0 ELSE 1 END
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
WHERE claimed_by = :token AND record_id = r.value ->> 'record_id'

-- query: count_returned
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = now()
WHERE run_id = :run_id

-- query: abandon_runs
UPDATE enrichment_runs SET state = 'abandoned', finished_at = now()
WHERE state = 'open' AND seen_at < now() - make_interval(secs => 2 * :lease_seconds)

-- query: open_run
INSERT INTO enrichment_runs (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at)
VALUES (:run_id, :flow_run_name, :provider, :crm, :lane, 'open', now(),
    now())
ON CONFLICT (run_id) DO UPDATE SET state = 'open', seen_at = excluded.seen_at

-- query: close_run
UPDATE enrichment_runs SET state = :state, finished_at = now(),
    failure_rate = :failure_rate, credits = :credits, api_versions = :api_versions::jsonb, stop_kind = :stop_kind,
    alert_kind = :alert_kind, alert_sent = :alert_sent
WHERE run_id = :run_id

-- query: read_run
SELECT * FROM enrichment_runs WHERE run_id = :run_id

-- query: read_last_run
SELECT * FROM enrichment_runs
WHERE provider = :provider AND crm = :crm AND run_id <> :run_id AND state IN ('closed', 'failed')
    AND (claimed > 0 OR alert_kind <> '')
    AND (alert_kind = '' OR alert_sent)
ORDER BY finished_at DESC LIMIT 1

-- query: count_dispositions
SELECT disposition, count(*) AS records FROM record_ledger WHERE run_id = :run_id GROUP BY disposition

-- query: forget_usage
DELETE FROM provider_usage WHERE run_id = :run_id

-- query: keep_usage
INSERT INTO provider_usage (run_id, provider, outcome, api_version, replies, credits, request_id, last_reply_at)
SELECT run_id, provider, outcome, api_version, replies, credits, request_id, received_at
FROM (
    SELECT run_id, provider, outcome, coalesce(api_version, '') AS api_version, request_id, received_at,
        count(*) OVER (PARTITION BY provider, outcome, coalesce(api_version, '')) AS replies,
        sum(credits) OVER (PARTITION BY provider, outcome, coalesce(api_version, '')) AS credits,
        row_number() OVER (
            PARTITION BY provider, outcome, coalesce(api_version, '') ORDER BY received_at DESC, request_key) AS place
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
SELECT reason, step, count(*) AS records, min(crm_id) AS example FROM failed_records
WHERE run_id = :run_id GROUP BY reason, step ORDER BY records DESC

-- query: read_written
SELECT w.crm_id, w.field, w.before, w.after FROM crm_writes w
WHERE w.run_id = :run_id AND w.crm = :crm AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
ORDER BY w.crm_id, w.field

-- query: read_clock
SELECT now() AS read_at

-- query: review_endings
SELECT e.disposition, e.earlier, count(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > :since::timestamptz THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > :before::timestamptz) e
GROUP BY e.disposition, e.earlier

-- query: review_unmatched
SELECT u.reason, u.provider, count(*) AS records, sum(u.is_recent) AS recent, min(u.crm_id) AS example,
    min(u.unmatched_at) AS oldest_at
FROM (
    SELECT reason, provider, crm_id, unmatched_at,
        CASE WHEN unmatched_at > :since::timestamptz THEN 1 ELSE 0 END AS is_recent
    FROM unmatched_records WHERE reviewed_at IS NULL) u
GROUP BY u.reason, u.provider ORDER BY records DESC, u.reason, u.provider

-- query: review_failures
SELECT f.reason, f.step, sum(f.is_recent) AS records, sum(f.waits) AS waiting, min(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > :since::timestamptz THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > :since::timestamptz) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_replies
SELECT p.provider, p.outcome, p.earlier, count(*) AS replies, sum(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > :since::timestamptz THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > :before::timestamptz) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
SELECT count(*) AS contacts, count(c.company_name) AS company_name, count(c.employee_count) AS employee_count,
    count(c.industry) AS industry, count(c.linkedin_url) AS linkedin_url,
    count(CASE WHEN c.tech_stack NOT IN ('null'::jsonb, '[]'::jsonb) THEN 1 END) AS tech_stack,
    count(CASE WHEN c.intent_keywords NOT IN ('null'::jsonb, '[]'::jsonb) THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > :since::timestamptz

-- query: review_latency
SELECT t.begun, t.seconds, count(*) AS records FROM (
    SELECT 'staged' AS begun,
        round(extract(epoch FROM l.finished_at - l.staged_at))::bigint AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > :since::timestamptz
    UNION ALL
    SELECT 'created' AS begun,
        round(extract(epoch FROM l.finished_at - l.contact_created_at))::bigint AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > :since::timestamptz
        AND l.contact_created_at > :since::timestamptz) t
GROUP BY t.begun, t.seconds

-- query: mark_reviewed
UPDATE unmatched_records SET reviewed_at = now()
WHERE reviewed_at IS NULL AND unmatched_at <= :until::timestamptz

-- query: take_records
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = NULL,
    claim_expires_at = now() + make_interval(secs => :lease_seconds),
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
WHERE provider = :provider AND outcome <> 'erased' AND request_key IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- query: blank_ledger
UPDATE record_ledger SET request_key = '' WHERE crm = :crm AND crm_id = :crm_id

-- query: story_staging
SELECT * FROM enrichment_staging WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_ledger
SELECT l.*, r.provider, r.flow_run_name FROM record_ledger l LEFT JOIN enrichment_runs r ON r.run_id = l.run_id
WHERE l.crm_id = :crm_id AND (:crm = '' OR l.crm = :crm) ORDER BY l.finished_at

-- query: story_replies
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id, p.received_at, p.run_id
FROM provider_replies p
JOIN (
    SELECT DISTINCT provider, request_key FROM contact_requests
    WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)) q ON q.provider = p.provider AND q.request_key = p.request_key
ORDER BY p.received_at

-- query: story_contact
SELECT * FROM enriched_contacts WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_unmatched
SELECT * FROM unmatched_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY unmatched_at

-- query: story_writes
SELECT * FROM crm_writes WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY planned_at, field

-- query: story_failures
SELECT * FROM failed_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY failed_at
