-- query: read_suppressed
-- Reads which of these hashed identifiers are suppressed, why, and since when.
-- differs because of how a list is unpacked
SELECT key_hash, reason, suppressed_at FROM suppressed_contacts
WHERE key_hash = ANY (:keys::text[])

-- query: suppress_keys
-- Suppresses hashed identifiers.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO suppressed_contacts (key_hash, suppressed_for, reason, suppressed_at)
SELECT DISTINCT value, CASE :subject::text WHEN '' THEN value ELSE :subject::text END, :reason, now()
FROM unnest(:keys::text[]) AS value
ON CONFLICT (key_hash, suppressed_for) DO UPDATE SET reason = excluded.reason, suppressed_at = excluded.suppressed_at
-- An erasure outranks an opt-out, in either order.
WHERE excluded.reason = 'erased' AND suppressed_contacts.reason <> 'erased'

-- query: note_suppression
-- Notes who put hashed identifiers on the suppression list or took them off.
-- differs because of the clock and how a list is unpacked
INSERT INTO suppression_changes (key_hash, action, reason, changed_by, changed_at)
SELECT value, :action, :reason, :changed_by, now() FROM unnest(:keys::text[]) AS value

-- query: read_allowances
-- Reads which of these hashed identifiers were taken off the suppression list, by whom and when.
-- differs because of how a list is unpacked
SELECT key_hash, changed_by, changed_at FROM suppression_changes
WHERE action = 'allowed' AND key_hash = ANY (:keys::text[])

-- query: lock_credits
-- Makes those who count credits of a provider wait for each other.
-- differs because reservations that aren't committed yet can't be counted
SELECT pg_advisory_xact_lock(hashtext('credits of ' || :provider))::text AS held

-- query: read_credits
-- Counts what a provider's day and what a run have cost, spent, reserved and in doubt.
-- differs because of the clock
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- it may have been billed.
SELECT
    (
        SELECT COALESCE(SUM(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= date_trunc('day', now())) AS day_spent,
    (
        SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= date_trunc('day', now())) AS day_reserved,
    (
        SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= date_trunc('day', now())) AS day_doubtful,
    (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86400 - extract(epoch FROM now())::bigint % 86400 AS seconds_left

-- query: note_doubt
-- Keeps credits that may have been billed for an answer that was lost.
-- differs because of the clock
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
VALUES (:provider, :run_id, :credits, now())

-- query: reserve_requests
-- Reserves requests that no other claim has reserved at this moment.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until, run_id, credits)
SELECT :provider, value, :token, now() + make_interval(secs => :lease_seconds), :run_id, :credits
FROM unnest(:keys::text[]) AS value
ON CONFLICT (provider, request_key) DO UPDATE
SET reserved_by = excluded.reserved_by, reserved_until = excluded.reserved_until,
    run_id = excluded.run_id, credits = excluded.credits
WHERE lookup_reservations.reserved_until < now()
    OR lookup_reservations.reserved_by = excluded.reserved_by

-- query: renew_reservations
-- Prolongs the reservations of a claim.
-- differs because of the clock
UPDATE lookup_reservations
SET reserved_until = now() + make_interval(secs => :lease_seconds)
WHERE reserved_by = :token

-- query: renew_reservations_of_run
-- Prolongs the reservations of a run.
-- differs because of the clock
UPDATE lookup_reservations SET reserved_until = now() + make_interval(secs => :lease_seconds) WHERE run_id = :run_id

-- query: note_requests
-- Keeps for which contact a request is made, while the claim holds its record.
-- differs because of how a list is unpacked and how rows are merged
INSERT INTO contact_requests (crm_id, crm, object_type, provider, request_key, email_key)
SELECT s.crm_id, s.crm, s.object_type, :provider, r.value ->> 'request_key', r.value ->> 'email_key'
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token
ON CONFLICT (crm_id, crm, object_type, provider, request_key) DO NOTHING

-- query: read_reservations
-- Reads which of these requests the claim has reserved.
-- differs because of how a list is unpacked
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key = ANY (:keys::text[])

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because rows are locked one by one
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND request_key = ANY (:keys::text[]) ORDER BY request_key FOR UPDATE

-- query: drop_reservations
-- Ends a run's reservations of these requests; another run's stays, whose call may be under way.
-- differs because of how a list is unpacked
DELETE FROM lookup_reservations
WHERE provider = :provider AND run_id = :run_id AND request_key = ANY (:keys::text[])

-- query: read_replies
-- Reads the conclusive replies that are young enough; a miss has its own limit.
-- differs because of the clock and how a list is unpacked
SELECT p.request_key, p.reply, p.outcome, p.credits, p.api_version, p.request_id, p.received_at, p.run_id
FROM provider_replies p
WHERE p.provider = :provider AND p.request_key = ANY (:keys::text[])
    AND p.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND p.received_at > CASE p.outcome
        WHEN 'unmatched' THEN now() - make_interval(days => :miss_days)
        ELSE now() - make_interval(days => :reply_days) END

-- query: keep_replies
-- Keeps replies; a failed attempt never replaces one that was paid for.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO provider_replies
    (provider, request_key, reply, outcome, credits, api_version, request_id, received_at, run_id)
SELECT :provider, value ->> 'request_key', value -> 'reply', value ->> 'outcome',
    (value ->> 'credits')::double precision,
    value ->> 'api_version', value ->> 'request_id', now(), :run_id
FROM jsonb_array_elements(:rows::jsonb) AS r(value)
ON CONFLICT (provider, request_key) DO UPDATE SET
    reply = excluded.reply, outcome = excluded.outcome, credits = excluded.credits, api_version = excluded.api_version,
    request_id = excluded.request_id, received_at = excluded.received_at, run_id = excluded.run_id,
    paid_before = CASE WHEN provider_replies.outcome IN ('matched', 'partial') AND provider_replies.credits > 0
        AND (provider_replies.run_id <> excluded.run_id OR provider_replies.request_id <> excluded.request_id)
        THEN provider_replies.received_at END
-- A failed attempt never replaces a reply that was paid for.
WHERE excluded.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    OR provider_replies.outcome NOT IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')

-- query: blank_replies
-- Blanks replies about erased people; cost and time are no personal data, and keep the sums right.
-- differs because of how a list is unpacked
UPDATE provider_replies SET reply = NULL, request_id = NULL, outcome = 'erased'
WHERE provider = :provider AND outcome <> 'erased' AND request_key = ANY (:keys::text[])
