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

-- migration: 0005 when a contact changed while a run was at work on it
ALTER TABLE enrichment_staging ADD COLUMN changed_at TIMESTAMPTZ;

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
    WHERE crm = :crm AND (:lane = '' OR lane = :lane)
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
SELECT count(DISTINCT s.claim_run_id) AS runs FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE r.provider = :provider AND s.claim_expires_at >= now()

-- query: read_fresh
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND crm_id IN (SELECT jsonb_array_elements_text(:ids::jsonb)) AND disposition IN ('written', 'unchanged')
    AND finished_at > now() - make_interval(days => :fresh_days)

-- query: read_suppressed
SELECT key_hash FROM suppressed_contacts WHERE key_hash IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- query: suppress_keys
INSERT INTO suppressed_contacts (key_hash, reason, suppressed_at)
SELECT value, :reason, now() FROM jsonb_array_elements_text(:keys::jsonb) AS value
ON CONFLICT (key_hash) DO NOTHING

-- query: reserve_requests
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until)
SELECT :provider, value, :token, now() + make_interval(secs => :lease_seconds)
FROM jsonb_array_elements_text(:keys::jsonb) AS value
ON CONFLICT (provider, request_key) DO UPDATE
SET reserved_by = excluded.reserved_by, reserved_until = excluded.reserved_until
WHERE lookup_reservations.reserved_until < now()
    OR lookup_reservations.reserved_by = excluded.reserved_by

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
    AND (claimed > 0 OR stop_kind <> '')
    AND (alert_kind = '' OR alert_sent)
ORDER BY finished_at DESC LIMIT 1

-- query: count_dispositions
SELECT disposition, count(*) AS records FROM record_ledger WHERE run_id = :run_id GROUP BY disposition

-- query: summarise_replies
SELECT outcome, api_version, count(*) AS replies, sum(credits) AS credits FROM provider_replies
WHERE run_id = :run_id GROUP BY outcome, api_version

-- query: count_failures
SELECT reason, step, count(*) AS records, min(crm_id) AS example FROM failed_records
WHERE run_id = :run_id GROUP BY reason, step ORDER BY records DESC

-- query: read_written
SELECT w.crm_id, w.field, w.before, w.after FROM crm_writes w
WHERE w.run_id = :run_id AND w.crm = :crm AND w.written_at IS NOT NULL AND w.reverted_at IS NULL
ORDER BY w.crm_id, w.field

-- query: story_staging
SELECT * FROM enrichment_staging WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_ledger
SELECT l.*, r.provider, r.flow_run_name FROM record_ledger l LEFT JOIN enrichment_runs r ON r.run_id = l.run_id
WHERE l.crm_id = :crm_id AND (:crm = '' OR l.crm = :crm) ORDER BY l.finished_at

-- query: story_replies
SELECT p.provider, p.outcome, p.credits, p.api_version, p.request_id, p.received_at, p.run_id
FROM provider_replies p
WHERE p.request_key IN (
    SELECT l.request_key FROM record_ledger l WHERE l.crm_id = :crm_id AND (:crm = '' OR l.crm = :crm))
ORDER BY p.received_at

-- query: story_contact
SELECT * FROM enriched_contacts WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_unmatched
SELECT * FROM unmatched_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY unmatched_at

-- query: story_writes
SELECT * FROM crm_writes WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY planned_at, field

-- query: story_failures
SELECT * FROM failed_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY failed_at
