-- query: suppress_keys
-- Suppresses hashed identifiers.
-- differs because of the clock, how a list is unpacked and how rows are merged
-- An erasure outranks an opt-out, in either order.
MERGE INTO suppressed_contacts t USING (
    SELECT DISTINCT f.value::VARCHAR AS key_hash,
        CASE WHEN :subject = '' THEN f.value::VARCHAR ELSE :subject END AS suppressed_for
    FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) s
ON t.key_hash = s.key_hash AND t.suppressed_for = s.suppressed_for
WHEN MATCHED AND :reason = 'erased' AND t.reason <> 'erased' THEN UPDATE SET reason = :reason, suppressed_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (key_hash, suppressed_for, reason, suppressed_at)
    VALUES (s.key_hash, s.suppressed_for, :reason, SYSDATE())

-- query: note_suppression
-- Notes who put hashed identifiers on the suppression list or took them off.
-- differs because of the clock and how a list is unpacked
INSERT INTO suppression_changes (key_hash, action, reason, changed_by, changed_at)
SELECT f.value::VARCHAR, :action, :reason, :changed_by, SYSDATE()
FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f

-- query: lock_credits
-- Makes those who count credits wait for each other, at all providers, since the cap of a run is over all of its own.
-- differs because the first statement of reserve_requests waits until no other process is reserving
SELECT 1 AS held

-- query: reserve_requests
-- Reserves requests that no other claim has reserved at this moment.
-- differs because of the clock, how a list is unpacked and how rows are merged
-- The first statement waits until no other process is reserving; only then does the second one begin, and see its rows.
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
-- Keeps for which contact a request is made, while the claim holds its record.
-- differs because of how a list is unpacked and how rows are merged
MERGE INTO contact_requests t USING (
    SELECT DISTINCT s.crm_id, s.crm, s.object_type, r.request_key, r.email_key
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['request_key']::VARCHAR AS request_key,
            f.value['email_key']::VARCHAR AS email_key
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token) s
ON t.crm_id = s.crm_id AND t.crm = s.crm AND t.object_type = s.object_type AND t.provider = :provider
    AND t.request_key = s.request_key
WHEN NOT MATCHED THEN INSERT (crm_id, crm, object_type, provider, request_key, email_key)
    VALUES (s.crm_id, s.crm, s.object_type, :provider, s.request_key, s.email_key)

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because an update that changes nothing takes the table's lock
UPDATE lookup_reservations SET reserved_by = reserved_by
WHERE provider = :provider AND request_key IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:keys) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: keep_replies
-- Keeps replies; a failed attempt never replaces one that was paid for.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO provider_replies t USING (
    SELECT f.value['request_key']::VARCHAR AS request_key, f.value['reply'] AS reply,
        f.value['outcome']::VARCHAR AS outcome, f.value['credits']::DOUBLE AS credits,
        f.value['api_version']::VARCHAR AS api_version, f.value['request_id']::VARCHAR AS request_id,
        f.value['outcome']::VARCHAR IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input') AS conclusive
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['request_key']::VARCHAR ORDER BY
            IFF(f.value['outcome']::VARCHAR IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input'), 0,
                1),
            f.index DESC) = 1) s
ON t.provider = :provider AND t.request_key = s.request_key
WHEN MATCHED AND (
    s.conclusive OR t.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')) THEN UPDATE SET
    reply = s.reply, outcome = s.outcome, credits = s.credits, api_version = s.api_version, request_id = s.request_id,
    received_at = SYSDATE(), run_id = :run_id,
    paid_before = IFF(t.outcome IN ('matched', 'partial') AND t.credits > 0
        AND (t.run_id <> :run_id OR t.request_id <> s.request_id), t.received_at, NULL)
WHEN NOT MATCHED THEN INSERT
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
    VALUES (:provider, s.request_key, s.reply, s.outcome, s.credits, s.api_version, s.request_id, SYSDATE(), :run_id)
