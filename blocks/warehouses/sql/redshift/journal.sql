-- query: suppress_keys
-- Suppresses hashed identifiers.
-- differs because of the clock, how a list is unpacked and how rows are merged
-- An erasure outranks an opt-out, in either order.
UPDATE suppressed_contacts SET reason = :reason, suppressed_at = GETDATE()
WHERE :reason = 'erased' AND reason <> 'erased' AND key_hash IN (SELECT r.value FROM :keys r)
    AND suppressed_for = CASE WHEN :subject::VARCHAR(256) = '' THEN key_hash ELSE :subject::VARCHAR(256) END;
INSERT INTO suppressed_contacts (key_hash, suppressed_for, reason, suppressed_at)
SELECT r.value, r.suppressed_for, :reason, GETDATE() FROM (
    SELECT DISTINCT value, CASE WHEN :subject::VARCHAR(256) = '' THEN value ELSE :subject::VARCHAR(256) END
        AS suppressed_for FROM :keys) r
WHERE NOT EXISTS (
    SELECT 1 FROM suppressed_contacts c WHERE c.key_hash = r.value AND c.suppressed_for = r.suppressed_for)

-- query: note_suppression
-- Notes who put hashed identifiers on the suppression list or took them off.
-- differs because of the clock and how a list is unpacked
INSERT INTO suppression_changes (key_hash, action, reason, changed_by, changed_at)
SELECT r.value, :action, :reason, :changed_by, GETDATE() FROM :keys r

-- query: lock_credits
-- Makes those who count credits wait for each other, at all providers, since the cap of a run is over all of its own.
-- differs because every writer holds the one lock by now, so that there is nothing left to lock
SELECT 1 AS held

-- query: reserve_requests
-- Reserves requests that no other claim has reserved at this moment.
-- differs because of the clock, how a list is unpacked and how rows are merged
DELETE FROM lookup_reservations
WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)
    AND (reserved_until < GETDATE() OR reserved_by = :token);
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until, run_id, credits)
SELECT :provider, r.value, :token, DATEADD(second, :lease_seconds, GETDATE()), :run_id, :credits
FROM (SELECT DISTINCT value FROM :keys) r
WHERE NOT EXISTS (SELECT 1 FROM lookup_reservations v WHERE v.provider = :provider AND v.request_key = r.value)

-- query: note_requests
-- Keeps for which contact a request is made, while the claim holds its record.
-- differs because of how a list is unpacked and how rows are merged
INSERT INTO contact_requests (crm_id, crm, object_type, provider, request_key, email_key)
SELECT DISTINCT s.crm_id, s.crm, s.object_type, :provider::VARCHAR(256), r.request_key, r.email_key
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND NOT EXISTS (
    SELECT 1 FROM contact_requests q
    WHERE q.crm_id = s.crm_id AND q.crm = s.crm AND q.object_type = s.object_type AND q.provider = :provider
        AND q.request_key = r.request_key)

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because every writer holds the one lock by now, so that there is nothing left to lock
SELECT COUNT(*) AS requests FROM lookup_reservations
WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)

-- query: keep_replies
-- Keeps replies; a failed attempt never replaces one that was paid for.
-- differs because of the clock, how a list is unpacked and how rows are merged
UPDATE provider_replies SET
    reply = JSON_PARSE(r.reply), outcome = r.outcome, credits = r.credits::DOUBLE PRECISION,
    api_version = r.api_version, request_id = r.request_id, received_at = GETDATE(), run_id = :run_id,
    paid_before = CASE WHEN provider_replies.outcome IN ('matched', 'partial') AND provider_replies.credits > 0
        AND (provider_replies.run_id <> :run_id OR provider_replies.request_id <> r.request_id)
        THEN provider_replies.received_at END
FROM :rows r
WHERE provider_replies.provider = :provider AND provider_replies.request_key = r.request_key
    AND (r.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
        OR provider_replies.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input'));
INSERT INTO provider_replies
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
SELECT :provider, r.request_key, JSON_PARSE(r.reply), r.outcome, r.credits::DOUBLE PRECISION, r.api_version,
    r.request_id, GETDATE(), :run_id
FROM :rows r
WHERE NOT EXISTS (SELECT 1 FROM provider_replies p WHERE p.provider = :provider AND p.request_key = r.request_key)
