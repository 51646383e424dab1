-- query: read_suppressed
-- Reads which of these hashed identifiers are suppressed, why, and since when.
-- differs because of how a list is unpacked
SELECT key_hash, reason, suppressed_at FROM suppressed_contacts
WHERE key_hash IN (SELECT r.value FROM :keys r)

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

-- query: read_allowances
-- Reads which of these hashed identifiers were taken off the suppression list, by whom and when.
-- differs because of how a list is unpacked
SELECT key_hash, changed_by, changed_at FROM suppression_changes
WHERE action = 'allowed' AND key_hash IN (SELECT r.value FROM :keys r)

-- query: lock_credits
-- Makes those who count credits of a provider wait for each other.
-- differs because every writer holds the one lock by now, so that there is nothing left to lock
SELECT :provider::VARCHAR(256) AS held

-- query: read_credits
-- Counts what a provider's day and what a run have cost, spent, reserved and in doubt.
-- differs because of the clock
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- it may have been billed.
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
-- Keeps credits that may have been billed for an answer that was lost.
-- differs because of the clock
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
SELECT :provider, :run_id, :credits, GETDATE()

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

-- query: renew_reservations
-- Prolongs the reservations of a claim.
-- differs because of the clock
UPDATE lookup_reservations SET reserved_until = DATEADD(second, :lease_seconds, GETDATE())
WHERE reserved_by = :token

-- query: renew_reservations_of_run
-- Prolongs the reservations of a run.
-- differs because of the clock
UPDATE lookup_reservations SET reserved_until = DATEADD(second, :lease_seconds, GETDATE()) WHERE run_id = :run_id

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

-- query: read_reservations
-- Reads which of these requests the claim has reserved.
-- differs because of how a list is unpacked
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key IN (SELECT r.value FROM :keys r)

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because every writer holds the one lock by now, so that there is nothing left to lock
SELECT COUNT(*) AS requests FROM lookup_reservations
WHERE provider = :provider AND request_key IN (SELECT r.value FROM :keys r)

-- query: drop_reservations
-- Ends a run's reservations of these requests; another run's stays, whose call may be under way.
-- differs because of how a list is unpacked
DELETE FROM lookup_reservations
WHERE provider = :provider AND run_id = :run_id AND request_key IN (SELECT r.value FROM :keys r)

-- query: read_replies
-- Reads the conclusive replies that are young enough; a miss has its own limit.
-- differs because of the clock, how a list is unpacked and how JSON is kept
SELECT p.request_key, JSON_SERIALIZE(p.reply) AS reply, p.outcome, p.credits, p.api_version, p.request_id,
    p.received_at, p.run_id
FROM provider_replies p
WHERE p.provider = :provider AND p.request_key IN (SELECT r.value FROM :keys r)
    AND p.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND p.received_at > CASE p.outcome
        WHEN 'unmatched' THEN DATEADD(day, -:miss_days, GETDATE())
        ELSE DATEADD(day, -:reply_days, GETDATE()) END

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

-- query: blank_replies
-- Blanks replies about erased people; cost and time are no personal data, and keep the sums right.
-- differs because of how a list is unpacked
UPDATE provider_replies SET reply = NULL, request_id = NULL, outcome = 'erased'
WHERE provider = :provider AND outcome <> 'erased' AND request_key IN (SELECT r.value FROM :keys r)
