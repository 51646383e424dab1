-- Saved replies, and who is asking for which.

-- query: read_replies
-- Reads the conclusive replies that are young enough; a miss has its own limit.
SELECT p.request_key, {json:p.reply} AS reply, p.outcome, p.credits, p.api_version, p.request_id,
    {read:p.received_at} AS received_at, p.run_id
FROM provider_replies p WHERE p.provider = :provider AND p.request_key {among::keys}
    AND p.outcome IN ('matched', 'partial', 'unmatched', 'suppressed', 'invalid_input')
    AND p.received_at > CASE p.outcome WHEN 'unmatched' THEN {ago::miss_days} ELSE {ago::reply_days} END

-- query: read_suppressed
-- Reads which of these hashed identifiers are suppressed, why, and since when.
SELECT c.key_hash, c.reason, {read:c.suppressed_at} AS suppressed_at FROM suppressed_contacts c
WHERE c.key_hash {among::keys}

-- query: read_reservations
-- Reads which of these requests the claim has reserved.
SELECT request_key FROM lookup_reservations
WHERE provider = :provider AND reserved_by = :token AND request_key {among::keys}

-- query: renew_reservations
-- Prolongs the reservations of a claim.
UPDATE lookup_reservations SET reserved_until = {steady_in::lease_seconds} WHERE reserved_by = :token

-- query: renew_reservations_of_run
-- Prolongs the reservations of a run.
UPDATE lookup_reservations SET reserved_until = {steady_in::lease_seconds} WHERE run_id = :run_id

-- query: drop_claim_reservations
-- Ends the reservations of a claim.
DELETE FROM lookup_reservations WHERE reserved_by = :token

-- query: drop_reservations
-- Ends a run's reservations of these requests; another run's stays, whose call may be under way.
DELETE FROM lookup_reservations WHERE provider = :provider AND run_id = :run_id AND request_key {among::keys}

-- query: read_credits
-- Counts what a provider's day and what a run have cost, spent, reserved and in doubt.
-- All in one statement, which sees one moment. What was reserved today and never answered counts for this day, since
-- it may have been billed. What is left of the day is rounded up.
SELECT
    (
        SELECT COALESCE(SUM(credits), 0) FROM provider_replies
        WHERE provider = :provider AND received_at >= {today}) AS day_spent,
    (
        SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations
        WHERE provider = :provider AND reserved_until >= {today}) AS day_reserved,
    (
        SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits
        WHERE provider = :provider AND noted_at >= {today}) AS day_doubtful,
    (SELECT COALESCE(SUM(credits), 0) FROM provider_replies WHERE run_id = :run_id) AS run_spent,
    (SELECT COALESCE(SUM(credits), 0) FROM lookup_reservations WHERE run_id = :run_id) AS run_reserved,
    (SELECT COALESCE(SUM(credits), 0) FROM doubtful_credits WHERE run_id = :run_id) AS run_doubtful,
    86401 - {seconds:{today} to {now}} AS seconds_left

-- query: note_doubt
-- Keeps credits that may have been billed for an answer that was lost.
INSERT INTO doubtful_credits (provider, run_id, credits, noted_at)
SELECT :provider, :run_id, :credits, {now}

-- query: summarise_journal
-- Counts a provider's replies and credits by outcome.
SELECT outcome, COUNT(*) AS replies, SUM(credits) AS credits FROM provider_replies
WHERE provider = :provider GROUP BY outcome

-- query: read_reply_page
-- Reads a provider's replies with data since a moment, by their keys: these are hashes, so that some are a fair sample.
SELECT p.request_key, {json:p.reply} AS reply, p.outcome, p.credits, p.api_version, p.request_id,
    {read:p.received_at} AS received_at, p.run_id
FROM provider_replies p
WHERE p.provider = :provider AND p.request_key > :after AND p.received_at > {time::since}
    AND p.outcome IN ('matched', 'partial')
ORDER BY p.request_key LIMIT :limit

-- query: read_remappable
-- Reads the contacts about which a provider, or any, has answered since a moment, by their ids.
SELECT q.crm_id FROM contact_requests q
JOIN provider_replies p ON p.provider = q.provider AND p.request_key = q.request_key
WHERE q.crm = :crm AND q.object_type = :object_type AND q.crm_id > :after
    AND (:provider = '' OR q.provider = :provider) AND (:crm_id = '' OR q.crm_id = :crm_id)
    AND p.received_at > {time::since} AND p.outcome IN ('matched', 'partial', 'unmatched')
GROUP BY q.crm_id ORDER BY q.crm_id LIMIT :limit
