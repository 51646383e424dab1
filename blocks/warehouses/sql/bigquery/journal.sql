-- query: suppress_keys
-- Suppresses hashed identifiers.
-- differs because of the clock, how a list is unpacked and how rows are merged
-- An erasure outranks an opt-out, in either order.
MERGE suppressed_contacts c
USING (
    SELECT DISTINCT value, CASE WHEN :subject = '' THEN value ELSE :subject END AS suppressed_for
    FROM UNNEST(JSON_VALUE_ARRAY(:keys)) AS value) r ON c.key_hash = r.value AND c.suppressed_for = r.suppressed_for
WHEN MATCHED AND :reason = 'erased' AND c.reason <> 'erased' THEN UPDATE SET
    reason = :reason, suppressed_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (key_hash, suppressed_for, reason, suppressed_at)
    VALUES (r.value, r.suppressed_for, :reason, CURRENT_TIMESTAMP())

-- query: note_suppression
-- Notes who put hashed identifiers on the suppression list or took them off.
-- differs because of the clock and how a list is unpacked
INSERT INTO suppression_changes (key_hash, action, reason, changed_by, changed_at)
SELECT value, :action, :reason, :changed_by, CURRENT_TIMESTAMP() FROM UNNEST(JSON_VALUE_ARRAY(:keys)) AS value

-- query: lock_credits
-- Makes those who count credits wait for each other, at all providers, since the cap of a run is over all of its own.
-- differs because a reservation is committed before its run counts, so that the later one sees both
SELECT 1 AS held

-- query: reserve_requests
-- Reserves requests that no other claim has reserved at this moment.
-- differs because of the clock, how a list is unpacked and how rows are merged
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
-- Keeps for which contact a request is made, while the claim holds its record.
-- differs because of how a list is unpacked and how rows are merged
MERGE contact_requests q
USING (
    SELECT DISTINCT s.crm_id, s.crm, s.object_type, r.request_key, r.email_key
    FROM (
        SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.request_key') AS request_key,
            JSON_VALUE(value, '$.email_key') AS email_key
        FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
    WHERE s.claimed_by = :token) r
ON q.crm_id = r.crm_id AND q.crm = r.crm AND q.object_type = r.object_type AND q.provider = :provider
    AND q.request_key = r.request_key
WHEN NOT MATCHED THEN INSERT (crm_id, crm, object_type, provider, request_key, email_key)
    VALUES (r.crm_id, r.crm, r.object_type, :provider, r.request_key, r.email_key)

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because there is nothing to lock: whoever keeps a reply reads afterwards what is suppressed
SELECT COUNT(*) AS requests FROM lookup_reservations
WHERE provider = :provider AND request_key IN UNNEST(JSON_VALUE_ARRAY(:keys))

-- query: keep_replies
-- Keeps replies; a failed attempt never replaces one that was paid for.
-- differs because of the clock, how a list is unpacked and how rows are merged
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
    api_version = r.api_version, request_id = r.request_id, received_at = CURRENT_TIMESTAMP(), run_id = :run_id,
    paid_before = CASE WHEN p.outcome IN ('matched', 'partial') AND p.credits > 0
        AND (p.run_id <> :run_id OR p.request_id <> r.request_id) THEN p.received_at END
WHEN NOT MATCHED THEN INSERT
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
    VALUES (:provider, r.request_key, PARSE_JSON(r.reply, wide_number_mode => 'round'), r.outcome,
    CAST(r.credits AS FLOAT64), r.api_version,
        r.request_id, CURRENT_TIMESTAMP(), :run_id)
