-- BigQuery, GoogleSQL. Everything stands in the dataset that the block names (ENRICHMENT_PIPELINE), the default of each
-- job.
--
-- A statement is a job of its own, whole or not at all; a verb is several, in an order in which each may be repeated.
-- Keys aren't enforced: what must be unique is merged. Rows are filled by DML, never streamed, so that they can be
-- changed at once. A list is one JSON text, which UNNEST takes apart.

-- migration: 0001 queue, results, journal and books
CREATE TABLE IF NOT EXISTS enrichment_staging (
    record_id STRING NOT NULL,
    crm_id STRING NOT NULL,
    email_address STRING,
    processed_at TIMESTAMP,
    crm STRING NOT NULL,
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
    request_key STRING
);

CREATE TABLE IF NOT EXISTS enriched_contacts (
    crm STRING NOT NULL,
    crm_id STRING NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name STRING,
    employee_count INT64,
    industry STRING,
    tech_stack JSON,
    linkedin_url STRING,
    intent_keywords ARRAY<STRING>,
    provider STRING NOT NULL,
    provider_record_id STRING,
    confidence FLOAT64,
    attributes JSON,
    run_id STRING NOT NULL
);

CREATE TABLE IF NOT EXISTS enrichment_history (
    crm STRING NOT NULL,
    crm_id STRING NOT NULL,
    enrichment_timestamp TIMESTAMP NOT NULL,
    company_name STRING,
    employee_count INT64,
    industry STRING,
    tech_stack JSON,
    linkedin_url STRING,
    intent_keywords ARRAY<STRING>,
    provider STRING NOT NULL,
    provider_record_id STRING,
    confidence FLOAT64,
    attributes JSON,
    run_id STRING NOT NULL
);

CREATE TABLE IF NOT EXISTS unmatched_records (
    crm STRING NOT NULL,
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
    run_id STRING NOT NULL
);

CREATE TABLE IF NOT EXISTS lookup_reservations (
    provider STRING NOT NULL,
    request_key STRING NOT NULL,
    reserved_by STRING NOT NULL,
    reserved_until TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS crm_writes (
    crm STRING NOT NULL,
    crm_id STRING NOT NULL,
    field STRING NOT NULL,
    before STRING,
    after STRING,
    run_id STRING NOT NULL,
    planned_at TIMESTAMP NOT NULL,
    written_at TIMESTAMP,
    reverted_at TIMESTAMP
);

CREATE TABLE IF NOT EXISTS failed_records (
    record_id STRING NOT NULL,
    crm STRING NOT NULL,
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

CREATE TABLE IF NOT EXISTS record_ledger (
    record_id STRING NOT NULL,
    crm STRING NOT NULL,
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
    run_id STRING NOT NULL
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
    alert_sent BOOL
);

CREATE TABLE IF NOT EXISTS suppressed_contacts (
    key_hash STRING NOT NULL,
    reason STRING NOT NULL,
    suppressed_at TIMESTAMP NOT NULL
);

CREATE TABLE IF NOT EXISTS event_cursors (
    name STRING NOT NULL,
    cursor STRING NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until)
SELECT '', '', '', CURRENT_TIMESTAMP() FROM (SELECT 1)
WHERE NOT EXISTS (SELECT 1 FROM lookup_reservations WHERE provider = '' AND request_key = '')

-- migration: 0002 what each provider cost
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

-- migration: 0003 pauses, and what is reserved
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

ALTER TABLE lookup_reservations ADD COLUMN IF NOT EXISTS run_id STRING;
ALTER TABLE lookup_reservations ADD COLUMN IF NOT EXISTS credits FLOAT64;

-- migration: 0004 when a contact changed while a run was at work on it
ALTER TABLE enrichment_staging ADD COLUMN IF NOT EXISTS changed_at TIMESTAMP;

-- migration: 0005 which requests were made for which contact
CREATE TABLE IF NOT EXISTS contact_requests (
    crm_id STRING NOT NULL,
    crm STRING NOT NULL,
    provider STRING NOT NULL,
    request_key STRING NOT NULL,
    email_key STRING
);

INSERT INTO contact_requests (crm_id, crm, provider, request_key)
SELECT DISTINCT l.crm_id, l.crm, p.provider, p.request_key
FROM (
    SELECT crm_id, crm, request_key FROM record_ledger
    UNION ALL SELECT crm_id, crm, request_key FROM enrichment_staging) l
JOIN provider_replies p ON p.request_key = l.request_key
WHERE NOT EXISTS (
    SELECT 1 FROM contact_requests q
    WHERE q.crm_id = l.crm_id AND q.crm = l.crm AND q.provider = p.provider AND q.request_key = p.request_key)

-- query: promote_staged
UPDATE enrichment_staging SET lane = 'live'
FROM (
    SELECT DISTINCT JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.crm_id') AS crm_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value
    WHERE JSON_VALUE(value, '$.lane') = 'live') r
WHERE enrichment_staging.lane = 'backfill' AND enrichment_staging.crm = r.crm AND enrichment_staging.crm_id = r.crm_id

-- query: stage_records
INSERT INTO enrichment_staging
    (record_id, crm, crm_id, email_address, source, lane, state, attempts, contact_created_at, staged_at)
SELECT r.record_id, r.crm, r.crm_id, r.email_address, r.source, r.lane, 'waiting', 0, TIMESTAMP(r.contact_created_at),
    CURRENT_TIMESTAMP()
FROM (
    SELECT b.*, ROW_NUMBER() OVER (PARTITION BY b.crm, b.crm_id ORDER BY b.lane DESC, b.record_id) AS place
    FROM (
    SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.crm') AS crm,
        JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.email_address') AS email_address,
        JSON_VALUE(value, '$.source') AS source, JSON_VALUE(value, '$.lane') AS lane,
        JSON_VALUE(value, '$.contact_created_at') AS contact_created_at
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) b) r
WHERE r.place = 1
    AND NOT EXISTS (SELECT 1 FROM enrichment_staging s WHERE s.crm = r.crm AND s.crm_id = r.crm_id)
    AND (r.source <> 'schedule' OR NOT EXISTS (
        SELECT 1 FROM record_ledger l WHERE l.crm = r.crm AND l.crm_id = r.crm_id))

-- query: note_changes
-- Whatever an event said of a contact in the queue, the CRM is asked how it is now; a run's work on it is done again.
UPDATE enrichment_staging SET
    email_address = NULL,
    changed_at = CASE enrichment_staging.state WHEN 'waiting' THEN enrichment_staging.changed_at ELSE CURRENT_TIMESTAMP() END
FROM (
    SELECT DISTINCT JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.crm_id') AS crm_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.crm = r.crm AND enrichment_staging.crm_id = r.crm_id

-- query: save_cursor
MERGE event_cursors c USING (SELECT :name AS name, :cursor AS position) r ON c.name = r.name
WHEN MATCHED THEN UPDATE SET cursor = r.position, updated_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (r.name, r.position, CURRENT_TIMESTAMP())

-- query: read_cursor
SELECT cursor FROM event_cursors WHERE name = :name

-- query: begin_cursor
MERGE event_cursors c USING (SELECT :name AS name, :cursor AS position) r ON c.name = r.name
WHEN NOT MATCHED THEN INSERT (name, cursor, updated_at) VALUES (r.name, r.position, CURRENT_TIMESTAMP())

-- query: advance_cursor
UPDATE event_cursors SET cursor = :cursor, updated_at = CURRENT_TIMESTAMP()
WHERE name = :name AND cursor = :before

-- query: pause_lane
MERGE paused_lanes p USING (SELECT :lane AS lane) r ON p.lane = r.lane
WHEN NOT MATCHED THEN INSERT (lane, paused_at) VALUES (r.lane, CURRENT_TIMESTAMP())

-- query: resume_lane
DELETE FROM paused_lanes WHERE lane = :lane

-- query: read_pauses
SELECT lane, paused_at FROM paused_lanes ORDER BY lane

-- query: read_waiting
SELECT crm_id FROM enrichment_staging WHERE crm = :crm AND crm_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: read_dead_letters
SELECT record_id, crm, crm_id, email_address, lane FROM failed_records
WHERE replayed_at IS NULL AND (:run_id = '' OR run_id = :run_id)

-- query: restage_dead_letters
INSERT INTO enrichment_staging (record_id, crm, crm_id, email_address, source, lane, state, attempts, staged_at)
SELECT r.new_record_id, r.crm, r.crm_id, r.email_address, 'manual', r.lane, 'waiting', 0, CURRENT_TIMESTAMP()
FROM (
    SELECT b.*, ROW_NUMBER() OVER (PARTITION BY b.crm, b.crm_id ORDER BY b.record_id) AS place
    FROM (
    SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.new_record_id') AS new_record_id,
        JSON_VALUE(value, '$.crm') AS crm, JSON_VALUE(value, '$.crm_id') AS crm_id,
        JSON_VALUE(value, '$.email_address') AS email_address, JSON_VALUE(value, '$.lane') AS lane
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) b) r
WHERE r.place = 1 AND NOT EXISTS (SELECT 1 FROM enrichment_staging s WHERE s.crm = r.crm AND s.crm_id = r.crm_id)

-- query: mark_replayed
UPDATE failed_records SET replayed_at = CURRENT_TIMESTAMP() WHERE record_id IN (
    SELECT JSON_VALUE(value, '$.record_id') FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value)

-- query: claim_records
-- One job: a second one that meets it is run again by the service on what the first one left.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = :run_id,
    claim_expires_at = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND),
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END,
    attempts = attempts + 1,
    not_before = NULL
WHERE record_id IN (
    SELECT record_id FROM enrichment_staging
    WHERE crm = :crm AND (:lane = '' OR lane = :lane) AND lane NOT IN (SELECT lane FROM paused_lanes)
        AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())
        AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP())
    ORDER BY lane DESC, staged_at LIMIT :limit)
AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())

-- query: read_claim
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE claimed_by = :token ORDER BY staged_at, record_id

-- query: peek_records
SELECT record_id, crm, crm_id, email_address, state, attempts FROM enrichment_staging
WHERE crm = :crm AND (:lane = '' OR lane = :lane)
    AND (claimed_by IS NULL OR claim_expires_at < CURRENT_TIMESTAMP())
    AND (not_before IS NULL OR not_before <= CURRENT_TIMESTAMP())
ORDER BY lane DESC, staged_at LIMIT :limit

-- query: count_queue
SELECT lane, state, COUNT(*) AS records FROM enrichment_staging GROUP BY lane, state ORDER BY lane, state

-- query: count_claimed
UPDATE enrichment_runs SET claimed = claimed + :claimed, seen_at = CURRENT_TIMESTAMP()
WHERE run_id = :run_id

-- query: renew_claim
UPDATE enrichment_staging SET claim_expires_at = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND)
WHERE claimed_by = :token AND record_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: renew_reservations
UPDATE lookup_reservations SET reserved_until = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND)
WHERE reserved_by = :token

-- query: mark_run_seen
UPDATE enrichment_runs SET seen_at = CURRENT_TIMESTAMP() WHERE run_id = :run_id

-- query: lock_claim
-- There is nothing to lock: every later statement names the claim it relies on.
SELECT COUNT(*) AS records FROM enrichment_staging WHERE claimed_by = :token

-- query: read_held
SELECT record_id FROM enrichment_staging WHERE claimed_by = :token AND record_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: count_runs_at_work
SELECT n.lane,
    COUNT(DISTINCT IF(STRPOS(CONCAT(',', REPLACE(n.provider, ' ', ''), ','), CONCAT(',', :provider, ',')) > 0,
        n.run_id, NULL)) AS at_provider,
    COUNT(DISTINCT IF(n.crm = :crm, n.run_id, NULL)) AS at_crm
FROM enrichment_staging s
JOIN enrichment_runs n ON n.run_id = s.claim_run_id
WHERE s.claim_expires_at >= CURRENT_TIMESTAMP()
GROUP BY n.lane

-- query: read_ended
SELECT DISTINCT crm_id FROM record_ledger WHERE crm = :crm AND crm_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: read_fresh
SELECT DISTINCT crm_id FROM record_ledger
WHERE crm = :crm AND crm_id IN UNNEST(JSON_VALUE_ARRAY(:ids)) AND disposition IN ('written', 'unchanged')
    AND finished_at > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -:fresh_days DAY)

-- query: read_suppressed
SELECT key_hash, reason, suppressed_at FROM suppressed_contacts
WHERE key_hash IN UNNEST(JSON_VALUE_ARRAY(:keys))

-- query: suppress_keys
-- An erasure outranks an opt-out, whichever came first.
MERGE suppressed_contacts c
USING (SELECT DISTINCT value FROM UNNEST(JSON_VALUE_ARRAY(:keys)) AS value) r ON c.key_hash = r.value
WHEN MATCHED AND :reason = 'erased' AND c.reason <> 'erased' THEN UPDATE SET
    reason = :reason, suppressed_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (key_hash, reason, suppressed_at) VALUES (r.value, :reason, CURRENT_TIMESTAMP())

-- query: lock_credits
-- There is nothing to lock: a reservation is committed before its asker counts, so that the later one sees both.
SELECT :provider AS held

-- query: read_credits
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- nobody knows whether it was billed.
SELECT
    (
        SELECT COALESCE(SUM(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), DAY)) AS day_spent,
    (
        SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), DAY)) AS day_reserved,
    (
        SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), DAY)) AS day_doubtful,
    (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86400 - MOD(UNIX_SECONDS(CURRENT_TIMESTAMP()), 86400) AS seconds_left

-- query: note_doubt
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
VALUES (:provider, :run_id, :credits, CURRENT_TIMESTAMP())

-- query: reserve_requests
-- The row without a key is always changed: statements that only insert would run side by side, and both would reserve.
MERGE lookup_reservations v
USING (
    SELECT DISTINCT :provider AS provider, value FROM UNNEST(JSON_VALUE_ARRAY(:keys)) AS value
    UNION ALL SELECT '', '') r
ON v.provider = r.provider AND v.request_key = r.value
WHEN MATCHED AND r.value = '' THEN UPDATE SET reserved_until = CURRENT_TIMESTAMP()
WHEN MATCHED AND (v.reserved_until < CURRENT_TIMESTAMP() OR v.reserved_by = :token) THEN UPDATE SET
    reserved_by = :token, reserved_until = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND),
    run_id = :run_id, credits = :credits
WHEN NOT MATCHED THEN INSERT (provider, request_key, reserved_by, reserved_until, run_id, credits)
    VALUES (r.provider, r.value, :token, TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND), :run_id,
    :credits)

-- query: note_requests
MERGE contact_requests q
USING (
    SELECT DISTINCT s.crm_id, s.crm, r.request_key, r.email_key
    FROM (
        SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.request_key') AS request_key,
            JSON_VALUE(value, '$.email_key') AS email_key
        FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
    WHERE s.claimed_by = :token) r
ON q.crm_id = r.crm_id AND q.crm = r.crm AND q.provider = :provider AND q.request_key = r.request_key
WHEN NOT MATCHED THEN INSERT (crm_id, crm, provider, request_key, email_key)
    VALUES (r.crm_id, r.crm, :provider, r.request_key, r.email_key)

-- query: read_reservations
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key IN UNNEST(JSON_VALUE_ARRAY(:keys))

-- query: drop_reservations
DELETE FROM lookup_reservations WHERE provider = :provider AND request_key IN UNNEST(JSON_VALUE_ARRAY(:keys))

-- query: drop_claim_reservations
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: read_replies
SELECT request_key, TO_JSON_STRING(reply) AS reply, outcome, credits, api_version, request_id, received_at, run_id
FROM provider_replies
WHERE provider = :provider AND request_key IN UNNEST(JSON_VALUE_ARRAY(:keys))
    AND outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND received_at > TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -:reply_days DAY)

-- query: keep_replies
-- A failed attempt never replaces a reply that was paid for.
MERGE provider_replies p
USING (
    SELECT JSON_VALUE(value, '$.request_key') AS request_key, JSON_QUERY(value, '$.reply') AS reply,
        JSON_VALUE(value, '$.outcome') AS outcome, JSON_VALUE(value, '$.credits') AS credits,
        JSON_VALUE(value, '$.api_version') AS api_version, JSON_VALUE(value, '$.request_id') AS request_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON p.provider = :provider AND p.request_key = r.request_key
WHEN MATCHED AND (r.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
        OR p.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')) THEN UPDATE SET
    reply = PARSE_JSON(r.reply, wide_number_mode => 'round'), outcome = r.outcome, credits = CAST(r.credits AS FLOAT64),
    api_version = r.api_version, request_id = r.request_id, received_at = CURRENT_TIMESTAMP(), run_id = :run_id
WHEN NOT MATCHED THEN INSERT
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
    VALUES (:provider, r.request_key, PARSE_JSON(r.reply, wide_number_mode => 'round'), r.outcome,
    CAST(r.credits AS FLOAT64), r.api_version,
        r.request_id, CURRENT_TIMESTAMP(), :run_id)

-- query: summarise_journal
SELECT outcome, COUNT(*) AS replies, SUM(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: upsert_contacts
MERGE enriched_contacts c
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id,
        JSON_VALUE(value, '$.enrichment_timestamp') AS enrichment_timestamp,
        JSON_VALUE(value, '$.company_name') AS company_name, JSON_VALUE(value, '$.employee_count') AS employee_count,
        JSON_VALUE(value, '$.industry') AS industry, JSON_QUERY(value, '$.tech_stack') AS tech_stack,
        JSON_VALUE(value, '$.linkedin_url') AS linkedin_url,
        JSON_QUERY(value, '$.intent_keywords') AS intent_keywords, JSON_VALUE(value, '$.provider') AS provider,
        JSON_VALUE(value, '$.provider_record_id') AS provider_record_id,
        JSON_VALUE(value, '$.confidence') AS confidence, JSON_QUERY(value, '$.attributes') AS attributes
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON c.crm = :crm AND c.crm_id = r.crm_id
WHEN MATCHED AND TIMESTAMP(r.enrichment_timestamp) >= c.enrichment_timestamp THEN UPDATE SET
    enrichment_timestamp = TIMESTAMP(r.enrichment_timestamp), company_name = r.company_name,
    employee_count = CAST(r.employee_count AS INT64), industry = r.industry,
    tech_stack = PARSE_JSON(r.tech_stack, wide_number_mode => 'round'),
    linkedin_url = r.linkedin_url, intent_keywords = JSON_VALUE_ARRAY(COALESCE(r.intent_keywords, '[]')),
    provider = r.provider,
    provider_record_id = r.provider_record_id, confidence = CAST(r.confidence AS FLOAT64),
    attributes = PARSE_JSON(r.attributes, wide_number_mode => 'round'), run_id = :run_id
WHEN NOT MATCHED THEN INSERT (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
VALUES (:crm, r.crm_id, TIMESTAMP(r.enrichment_timestamp), r.company_name, CAST(r.employee_count AS INT64), r.industry,
    PARSE_JSON(r.tech_stack, wide_number_mode => 'round'), r.linkedin_url,
    JSON_VALUE_ARRAY(COALESCE(r.intent_keywords, '[]')), r.provider, r.provider_record_id,
    CAST(r.confidence AS FLOAT64), PARSE_JSON(r.attributes, wide_number_mode => 'round'), :run_id)

-- query: append_history
MERGE enrichment_history h
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id,
        JSON_VALUE(value, '$.enrichment_timestamp') AS enrichment_timestamp,
        JSON_VALUE(value, '$.company_name') AS company_name, JSON_VALUE(value, '$.employee_count') AS employee_count,
        JSON_VALUE(value, '$.industry') AS industry, JSON_QUERY(value, '$.tech_stack') AS tech_stack,
        JSON_VALUE(value, '$.linkedin_url') AS linkedin_url,
        JSON_QUERY(value, '$.intent_keywords') AS intent_keywords, JSON_VALUE(value, '$.provider') AS provider,
        JSON_VALUE(value, '$.provider_record_id') AS provider_record_id,
        JSON_VALUE(value, '$.confidence') AS confidence, JSON_QUERY(value, '$.attributes') AS attributes
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON h.crm = :crm AND h.crm_id = r.crm_id AND h.provider = r.provider
    AND h.enrichment_timestamp = TIMESTAMP(r.enrichment_timestamp)
WHEN NOT MATCHED THEN INSERT (crm, crm_id, enrichment_timestamp, company_name, employee_count, industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
VALUES (:crm, r.crm_id, TIMESTAMP(r.enrichment_timestamp), r.company_name, CAST(r.employee_count AS INT64), r.industry,
    PARSE_JSON(r.tech_stack, wide_number_mode => 'round'), r.linkedin_url,
    JSON_VALUE_ARRAY(COALESCE(r.intent_keywords, '[]')), r.provider, r.provider_record_id,
    CAST(r.confidence AS FLOAT64), PARSE_JSON(r.attributes, wide_number_mode => 'round'), :run_id)

-- query: upsert_unmatched
-- What people have reviewed stays reviewed while nothing about it has changed.
MERGE unmatched_records u
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.lookup_identifier') AS lookup_identifier,
        JSON_VALUE(value, '$.reason') AS reason
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON u.crm = :crm AND u.crm_id = r.crm_id AND u.provider = :provider
WHEN MATCHED THEN UPDATE SET
    reviewed_at = CASE WHEN u.reason = r.reason
        AND (u.lookup_identifier = r.lookup_identifier OR u.lookup_identifier IS NULL AND r.lookup_identifier IS NULL)
        THEN u.reviewed_at END,
    lookup_identifier = r.lookup_identifier, reason = r.reason, run_id = :run_id, unmatched_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (crm, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
    VALUES (:crm, r.crm_id, r.lookup_identifier, r.reason, :provider, :run_id, CURRENT_TIMESTAMP())

-- query: mark_enriched
UPDATE enrichment_staging SET
    state = 'enriched',
    processed_at = CURRENT_TIMESTAMP(),
    request_key = COALESCE(NULLIF(r.request_key, ''), enrichment_staging.request_key)
FROM (
    SELECT JSON_VALUE(value, '$.request_key') AS request_key, JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.state IN ('claimed', 'enriched')
    AND enrichment_staging.record_id = r.record_id

-- query: read_enriched
SELECT crm_id, enrichment_timestamp, company_name, employee_count, industry, TO_JSON_STRING(tech_stack) AS tech_stack,
    linkedin_url, IF(ARRAY_LENGTH(intent_keywords) > 0, TO_JSON_STRING(intent_keywords), NULL) AS intent_keywords,
    provider, provider_record_id, confidence,
    TO_JSON_STRING(attributes) AS attributes
FROM enriched_contacts
WHERE crm = :crm AND crm_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: plan_writes
MERGE crm_writes w
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.before') AS before, JSON_VALUE(value, '$.after') AS after
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON w.crm = :crm AND w.crm_id = r.crm_id AND w.field = r.field AND w.run_id = :run_id
WHEN MATCHED AND w.written_at IS NULL THEN UPDATE SET before = r.before, after = r.after
WHEN NOT MATCHED THEN INSERT (crm, crm_id, field, before, after, run_id, planned_at)
    VALUES (:crm, r.crm_id, r.field, r.before, r.after, :run_id, CURRENT_TIMESTAMP())

-- query: read_open_writes
SELECT crm_id, field, after, run_id FROM crm_writes
WHERE crm = :crm AND written_at IS NULL AND crm_id IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- query: confirm_writes
UPDATE crm_writes SET written_at = CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.run_id') AS run_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE crm_writes.crm = :crm AND crm_writes.written_at IS NULL AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: forget_open_writes
DELETE FROM crm_writes WHERE crm = :crm AND written_at IS NULL AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s JOIN (
    SELECT JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r ON r.record_id = s.record_id WHERE s.claimed_by = :token)

-- query: write_ledger
INSERT INTO record_ledger (record_id, crm, crm_id, disposition, reason, request_key, lane, source, attempts,
    contact_created_at, staged_at, finished_at, run_id)
SELECT s.record_id, s.crm, s.crm_id, r.disposition, r.reason, COALESCE(NULLIF(r.request_key, ''), s.request_key, ''),
    s.lane, s.source, s.attempts, s.contact_created_at, s.staged_at, CURRENT_TIMESTAMP(), :run_id
FROM (
    SELECT JSON_VALUE(value, '$.disposition') AS disposition, JSON_VALUE(value, '$.reason') AS reason,
        JSON_VALUE(value, '$.request_key') AS request_key, JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = s.record_id)

-- query: count_ended
SELECT disposition, COUNT(*) AS records FROM record_ledger
WHERE run_id = :run_id AND record_id IN UNNEST(JSON_VALUE_ARRAY(:ids)) GROUP BY disposition

-- query: write_dead_letters
INSERT INTO failed_records
    (record_id, crm, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail, s.attempts,
    :run_id, CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.step') AS step, JSON_VALUE(value, '$.reason') AS reason,
        JSON_VALUE(value, '$.detail') AS detail, JSON_VALUE(value, '$.record_id') AS record_id,
        JSON_VALUE(value, '$.disposition') AS disposition
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
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
    staged_at = CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.new_record_id') AS new_record_id, JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.changed_at IS NOT NULL
    AND enrichment_staging.record_id = r.record_id

-- query: delete_finished
DELETE FROM enrichment_staging WHERE claimed_by = :token AND record_id IN (
    SELECT JSON_VALUE(value, '$.record_id') FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value)

-- query: return_records
UPDATE enrichment_staging SET
    claimed_by = NULL,
    claim_run_id = NULL,
    claim_expires_at = NULL,
    state = CASE enrichment_staging.state WHEN 'claimed' THEN 'waiting' ELSE enrichment_staging.state END,
    not_before = TIMESTAMP_ADD(CURRENT_TIMESTAMP(),
        INTERVAL CAST(CEIL(CAST(r.wait_seconds AS FLOAT64)) AS INT64) SECOND),
    attempts = enrichment_staging.attempts - CASE r.costs_attempt WHEN 'true' THEN 0 ELSE 1 END
FROM (
    SELECT JSON_VALUE(value, '$.wait_seconds') AS wait_seconds, JSON_VALUE(value, '$.costs_attempt') AS costs_attempt,
        JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE enrichment_staging.claimed_by = :token AND enrichment_staging.record_id = r.record_id

-- query: count_returned
UPDATE enrichment_runs SET returned = returned + :returned, seen_at = CURRENT_TIMESTAMP()
WHERE run_id = :run_id

-- query: abandon_runs
UPDATE enrichment_runs SET state = 'abandoned', finished_at = CURRENT_TIMESTAMP()
WHERE state = 'open' AND seen_at < TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -2 * :lease_seconds SECOND)

-- query: open_run
MERGE enrichment_runs n USING (SELECT :run_id AS run_id) r ON n.run_id = r.run_id
WHEN MATCHED THEN UPDATE SET state = 'open', seen_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT
    (run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, claimed, returned)
    VALUES (r.run_id, :flow_run_name, :provider, :crm, :lane, 'open', CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP(), 0, 0)

-- query: close_run
UPDATE enrichment_runs SET state = :state, finished_at = CURRENT_TIMESTAMP(),
    failure_rate = :failure_rate, credits = :credits,
    api_versions = PARSE_JSON(:api_versions, wide_number_mode => 'round'), stop_kind = :stop_kind,
    alert_kind = :alert_kind, alert_sent = :alert_sent
WHERE run_id = :run_id

-- query: read_run
SELECT run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, finished_at, claimed, returned,
    failure_rate, credits, TO_JSON_STRING(api_versions) AS api_versions, stop_kind, alert_kind, alert_sent
FROM enrichment_runs WHERE run_id = :run_id

-- query: read_last_run
SELECT run_id, flow_run_name, provider, crm, lane, state, started_at, seen_at, finished_at, claimed, returned,
    failure_rate, credits, TO_JSON_STRING(api_versions) AS api_versions, stop_kind, alert_kind, alert_sent
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
SELECT CURRENT_TIMESTAMP() AS read_at

-- query: review_endings
SELECT e.disposition, e.earlier, COUNT(*) AS records FROM (
    SELECT disposition, CASE WHEN finished_at > TIMESTAMP(:since) THEN 0 ELSE 1 END AS earlier
    FROM record_ledger WHERE finished_at > TIMESTAMP(:before)) e
GROUP BY e.disposition, e.earlier

-- query: review_unmatched
SELECT u.reason, u.provider, COUNT(*) AS records, SUM(u.is_recent) AS recent, MIN(u.crm_id) AS example,
    MIN(u.unmatched_at) AS oldest_at
FROM (
    SELECT reason, provider, crm_id, unmatched_at,
        CASE WHEN unmatched_at > TIMESTAMP(:since) THEN 1 ELSE 0 END AS is_recent
    FROM unmatched_records WHERE reviewed_at IS NULL) u
GROUP BY u.reason, u.provider ORDER BY records DESC, u.reason, u.provider

-- query: review_failures
SELECT f.reason, f.step, SUM(f.is_recent) AS records, SUM(f.waits) AS waiting, MIN(f.crm_id) AS example
FROM (
    SELECT reason, step, crm_id, CASE WHEN failed_at > TIMESTAMP(:since) THEN 1 ELSE 0 END AS is_recent,
        CASE WHEN replayed_at IS NULL THEN 1 ELSE 0 END AS waits
    FROM failed_records WHERE replayed_at IS NULL OR failed_at > TIMESTAMP(:since)) f
GROUP BY f.reason, f.step ORDER BY waiting DESC, f.reason, f.step

-- query: review_replies
SELECT p.provider, p.outcome, p.earlier, COUNT(*) AS replies, SUM(p.credits) AS credits FROM (
    SELECT provider, outcome, credits,
        CASE WHEN received_at > TIMESTAMP(:since) THEN 0 ELSE 1 END AS earlier
    FROM provider_replies WHERE received_at > TIMESTAMP(:before)) p
GROUP BY p.provider, p.outcome, p.earlier

-- query: review_fill
SELECT COUNT(*) AS contacts, COUNT(c.company_name) AS company_name, COUNT(c.employee_count) AS employee_count,
    COUNT(c.industry) AS industry, COUNT(c.linkedin_url) AS linkedin_url,
    COUNT(CASE WHEN TO_JSON_STRING(c.tech_stack) NOT IN ('null', '[]') THEN 1 END) AS tech_stack,
    COUNT(CASE WHEN TO_JSON_STRING(c.intent_keywords) NOT IN ('null', '[]') THEN 1 END) AS intent_keywords
FROM enriched_contacts c WHERE c.enrichment_timestamp > TIMESTAMP(:since)

-- query: review_latency
SELECT t.begun, t.seconds, COUNT(*) AS records FROM (
    SELECT 'staged' AS begun,
        TIMESTAMP_DIFF(l.finished_at, l.staged_at, SECOND) AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > TIMESTAMP(:since)
    UNION ALL
    SELECT 'created' AS begun,
        TIMESTAMP_DIFF(l.finished_at, l.contact_created_at, SECOND) AS seconds
    FROM record_ledger l
    WHERE l.lane = 'live' AND l.disposition = 'written' AND l.finished_at > TIMESTAMP(:since)
        AND l.contact_created_at > TIMESTAMP(:since)) t
GROUP BY t.begun, t.seconds

-- query: mark_reviewed
UPDATE unmatched_records SET reviewed_at = CURRENT_TIMESTAMP()
WHERE reviewed_at IS NULL AND unmatched_at <= TIMESTAMP(:until)

-- query: take_records
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = NULL,
    claim_expires_at = TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL :lease_seconds SECOND),
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
WHERE provider = :provider AND outcome <> 'erased' AND request_key IN UNNEST(JSON_VALUE_ARRAY(:keys))

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
    TO_JSON_STRING(tech_stack) AS tech_stack, linkedin_url,
    IF(ARRAY_LENGTH(intent_keywords) > 0, TO_JSON_STRING(intent_keywords), NULL) AS intent_keywords,
    provider, provider_record_id, confidence, TO_JSON_STRING(attributes) AS attributes, run_id
FROM enriched_contacts WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm)

-- query: story_unmatched
SELECT * FROM unmatched_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY unmatched_at

-- query: story_writes
SELECT * FROM crm_writes WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY planned_at, field

-- query: story_failures
SELECT * FROM failed_records WHERE crm_id = :crm_id AND (:crm = '' OR crm = :crm) ORDER BY failed_at
