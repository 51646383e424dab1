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

-- query: lock_credits
-- Makes those who count credits wait for each other, at all providers, since the cap of a run is over all of its own.
-- differs because reservations that aren't committed yet can't be counted
SELECT pg_advisory_xact_lock(hashtext('enrichment credits'))::text AS held

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

-- query: note_requests
-- Keeps for which contact a request is made, while the claim holds its record.
-- differs because of how a list is unpacked and how rows are merged
INSERT INTO contact_requests (crm_id, crm, object_type, provider, request_key, email_key)
SELECT s.crm_id, s.crm, s.object_type, :provider, r.value ->> 'request_key', r.value ->> 'email_key'
FROM jsonb_array_elements(:rows::jsonb) AS r(value) JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token
ON CONFLICT (crm_id, crm, object_type, provider, request_key) DO NOTHING

-- query: lock_reservations
-- Makes whoever ends the reservations of these requests, and whoever erases their replies, wait for each other.
-- differs because rows are locked one by one
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND request_key = ANY (:keys::text[]) ORDER BY request_key FOR UPDATE

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
