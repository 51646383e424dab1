-- Makes the table of applied migrations, unless it is there.
-- differs because of the types
-- Migrations that were applied.
-- Example: SELECT version, applied_at FROM schema_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    version TEXT NOT NULL, -- number and name of the migration
    applied_at TIMESTAMPTZ NOT NULL -- when it was applied
);
-- The queue: one row for each contact that waits or that a run works on.
-- Example: SELECT lane, state, count(*) AS contacts FROM enrichment_staging GROUP BY lane, state
CREATE TABLE enrichment_staging (
    record_id TEXT PRIMARY KEY, -- id of the request to enrich the contact
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    email_address TEXT, -- address to look up with; NULL: it is read from the CRM
    processed_at TIMESTAMPTZ, -- when the result was stored
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    source TEXT NOT NULL, -- what queued the contact: webhook, platform_event, schedule, backfill, submission, manual or remap
    lane TEXT NOT NULL, -- live or backfill; live contacts go first
    state TEXT NOT NULL, -- waiting, claimed (a run works on it) or enriched (only the CRM lacks the result)
    attempts INTEGER NOT NULL DEFAULT 0, -- [runs] number of runs that took the contact so far
    not_before TIMESTAMPTZ, -- until when the contact waits; NULL: it doesn't
    claimed_by TEXT, -- token of the run's claim; NULL: the contact is free
    claim_run_id TEXT, -- flow run that holds the claim
    claim_expires_at TIMESTAMPTZ, -- when the claim ends by itself
    staged_at TIMESTAMPTZ NOT NULL, -- when the contact was queued
    contact_created_at TIMESTAMPTZ, -- when the contact was created in the CRM, if that is known
    request_key TEXT, -- request whose reply is stored; see provider_replies
    changed_at TIMESTAMPTZ, -- when the contact changed while a run worked on it; then it is done again
    refresh BOOLEAN NOT NULL DEFAULT FALSE, -- whether the contact is looked up even if it was enriched lately
    lookups TEXT, -- what each provider that was asked said, such as hunter unmatched,zoominfo matched; NULL: none yet
    email_domain TEXT, -- domain of the address that the contact was looked up with, if any
    CHECK (lane IN ('live', 'backfill')),
    CHECK (state IN ('waiting', 'claimed', 'enriched')),
    CHECK (state <> 'claimed' OR claimed_by IS NOT NULL),
    UNIQUE (crm, object_type, crm_id)
);
CREATE INDEX staging_order ON enrichment_staging (crm, object_type, lane DESC, staged_at);
CREATE INDEX staging_claims ON enrichment_staging (claimed_by) WHERE claimed_by IS NOT NULL;

-- The latest result for each contact.
-- Example: SELECT company_name, employee_count FROM enriched_contacts WHERE crm = 'hubspot' AND crm_id = '501'
CREATE TABLE enriched_contacts (
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    enrichment_timestamp TIMESTAMPTZ NOT NULL, -- when the provider answered
    company_name TEXT, -- name of the company
    employee_count INTEGER, -- [employees] number of employees of the company
    industry TEXT, -- industry of the company
    tech_stack JSONB, -- technologies that the company uses; a list of texts
    linkedin_url TEXT, -- LinkedIn page; an https URL
    intent_keywords JSONB, -- topics that the company researches; a list of texts
    provider TEXT NOT NULL, -- provider that answered; several, separated by commas, if they complement each other
    provider_record_id TEXT, -- id of the person at the provider
    confidence DOUBLE PRECISION, -- [percent] how sure the provider is of its answer
    attributes JSONB, -- further canonical fields by name
    run_id TEXT NOT NULL, -- flow run that stored the row
    PRIMARY KEY (crm, object_type, crm_id)
);

-- Every result, the latest included; rows are only added.
-- Example: SELECT crm_id, count(*) AS results FROM enrichment_history GROUP BY crm_id ORDER BY results DESC
CREATE TABLE enrichment_history (
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    enrichment_timestamp TIMESTAMPTZ NOT NULL, -- when the provider answered
    company_name TEXT, -- name of the company
    employee_count INTEGER, -- [employees] number of employees of the company
    industry TEXT, -- industry of the company
    tech_stack JSONB, -- technologies that the company uses; a list of texts
    linkedin_url TEXT, -- LinkedIn page; an https URL
    intent_keywords JSONB, -- topics that the company researches; a list of texts
    provider TEXT NOT NULL, -- provider that answered; several, separated by commas, if they complement each other
    provider_record_id TEXT, -- id of the person at the provider
    confidence DOUBLE PRECISION, -- [percent] how sure the provider is of its answer
    attributes JSONB, -- further canonical fields by name
    run_id TEXT NOT NULL, -- flow run that stored the row
    remapped_at TIMESTAMPTZ -- when `enrich remap` read a saved reply in another way than before; NULL: it was read when it came
);
CREATE INDEX history_of_contact ON enrichment_history (crm, object_type, crm_id);

-- Contacts that providers don't know, for the weekly review.
-- Example: SELECT reason, count(*) AS contacts FROM unmatched_records WHERE reviewed_at IS NULL GROUP BY reason
CREATE TABLE unmatched_records (
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    lookup_identifier TEXT, -- identifiers that the provider was queried with; NULL for a contact that opted out
    reason TEXT NOT NULL, -- reason as the provider or the pipeline names it
    provider TEXT NOT NULL, -- providers that were queried, separated by commas
    run_id TEXT NOT NULL, -- flow run that filed the row last
    unmatched_at TIMESTAMPTZ NOT NULL, -- when it was filed last
    reviewed_at TIMESTAMPTZ, -- when it was marked as reviewed
    PRIMARY KEY (crm, object_type, crm_id, provider)
);

-- Saved replies: what providers answered, as received. A repeated request is read from here.
-- Example: SELECT provider, outcome, count(*) AS replies, sum(credits) AS credits
--     FROM provider_replies GROUP BY provider, outcome
CREATE TABLE provider_replies (
    provider TEXT NOT NULL, -- provider that answered
    request_key TEXT NOT NULL, -- hash of the provider, the normalised identifiers and the requested fields
    reply JSONB, -- body of the answer; NULL if it had none or if the person was erased
    outcome TEXT NOT NULL, -- what the answer means, such as matched or unmatched; see docs/add-a-provider.md
    credits DOUBLE PRECISION NOT NULL DEFAULT 0, -- [credits] credits that the provider billed
    api_version TEXT, -- version of the provider's API
    request_id TEXT, -- id by which the provider knows the request
    received_at TIMESTAMPTZ NOT NULL, -- when the answer was saved
    run_id TEXT NOT NULL, -- flow run that made the request
    paid_before TIMESTAMPTZ, -- when the paid reply with data that this one replaced was saved; NULL: it replaced none
    PRIMARY KEY (provider, request_key)
);
CREATE INDEX replies_of_run ON provider_replies (run_id);
CREATE INDEX replies_of_day ON provider_replies (provider, received_at, credits);

-- Requests that runs are making now, so that no two runs pay for the same one.
-- Example: SELECT provider, count(*) AS requests FROM lookup_reservations WHERE run_id IS NOT NULL GROUP BY provider
CREATE TABLE lookup_reservations (
    provider TEXT NOT NULL, -- provider that is queried
    request_key TEXT NOT NULL, -- the request; see provider_replies
    reserved_by TEXT NOT NULL, -- token of the claim that makes it
    reserved_until TIMESTAMPTZ NOT NULL, -- when the reservation ends by itself
    run_id TEXT, -- flow run that will pay
    credits DOUBLE PRECISION, -- [credits] credits that the request costs at most
    PRIMARY KEY (provider, request_key)
);
CREATE INDEX reservations_of_claim ON lookup_reservations (reserved_by);

-- Every change of a CRM field that was sent, with the value before.
-- Example: SELECT field, before, after, written_at
--     FROM crm_writes WHERE crm = 'hubspot' AND crm_id = '501' ORDER BY planned_at
CREATE TABLE crm_writes (
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    field TEXT NOT NULL, -- field of the CRM
    before TEXT, -- value that was replaced; NULL if the field was blank
    after TEXT, -- value that was written; NULL if the field was cleared by `enrich undo`
    run_id TEXT NOT NULL, -- run that wrote it
    planned_at TIMESTAMPTZ NOT NULL, -- when the change was about to be sent
    written_at TIMESTAMPTZ, -- when the CRM had confirmed it; NULL: not confirmed
    reverted_at TIMESTAMPTZ, -- when the change was undone
    reverted_by TEXT, -- run that undid it
    is_undo BOOLEAN NOT NULL DEFAULT FALSE, -- whether this change undid others
    PRIMARY KEY (crm, object_type, crm_id, field, run_id)
);
CREATE INDEX undone_values ON crm_writes (crm, object_type, crm_id) WHERE is_undo;

-- What the CRM's contacts have in common, in counts, as of a moment: one row for each `enrich profile`.
-- Example: SELECT crm, profiled_at, contacts, counts FROM crm_profiles ORDER BY crm, profiled_at
CREATE TABLE crm_profiles (
    crm TEXT NOT NULL, -- CRM whose contacts were looked at
    profiled_at TIMESTAMPTZ NOT NULL, -- when they were
    contacts INTEGER NOT NULL, -- [contacts] number of contacts that the CRM had
    contacts_read INTEGER NOT NULL, -- [contacts] how many of them were looked at; the counts are theirs
    counts TEXT NOT NULL, -- how many of these contacts, by what they have in common, such as `field industry` (filled) or `address free_mail`; a JSON object
    PRIMARY KEY (crm, profiled_at)
);

-- Plans of what a run would write, made on request or because a run reached a guard, and who decided about them.
-- Example: SELECT plan_id, cause, made_at FROM change_plans WHERE state = 'waiting'
CREATE TABLE change_plans (
    plan_id TEXT NOT NULL, -- id of the plan: of the run that made it
    crm TEXT NOT NULL, -- reference of the CRM
    provider TEXT NOT NULL, -- references of the providers, in their order
    cause TEXT NOT NULL, -- asked, or the guard that held the contacts
    policy TEXT NOT NULL, -- hash of the mapping by which it was made
    digest TEXT NOT NULL, -- hash of its changes; empty while they are collected
    made_at TIMESTAMPTZ NOT NULL, -- when it was begun
    made_by TEXT NOT NULL, -- who made it: a user, or a flow run
    state TEXT NOT NULL, -- waiting, approved or declined
    decided_at TIMESTAMPTZ, -- when it was approved or declined
    decided_by TEXT, -- who decided, as they wrote it
    note TEXT, -- what they wrote about it
    PRIMARY KEY (plan_id)
);

-- The changes of each plan, one for each field.
-- Example: SELECT field, rule, count(*) AS contacts FROM planned_changes WHERE plan_id = 'x' GROUP BY field, rule
CREATE TABLE planned_changes (
    plan_id TEXT NOT NULL, -- plan; see change_plans
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    record_id TEXT NOT NULL, -- id of the request; see enrichment_staging
    field TEXT NOT NULL, -- field of the CRM
    before TEXT, -- value that the CRM had; NULL if the field was blank
    after TEXT NOT NULL, -- value that is to be written
    rule TEXT NOT NULL, -- rule that permits it
    source TEXT NOT NULL, -- canonical field, or what else of the reply
    planned_at TIMESTAMPTZ NOT NULL, -- when the change was planned
    taken_by TEXT, -- run that took the contact to apply the plan
    PRIMARY KEY (plan_id, crm, object_type, crm_id, field)
);
CREATE INDEX planned_of_contact ON planned_changes (crm, object_type, crm_id);

-- Contacts that failed at their last attempt. `enrich retry` queues them again.
-- Example: SELECT reason, step, count(*) AS contacts
--     FROM failed_records WHERE replayed_at IS NULL GROUP BY reason, step
CREATE TABLE failed_records (
    record_id TEXT PRIMARY KEY, -- id of the request that failed
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    email_address TEXT, -- address that was queued with the contact
    lane TEXT NOT NULL, -- live or backfill
    source TEXT NOT NULL, -- what had queued the contact; see enrichment_staging
    step TEXT NOT NULL, -- step that failed: look_up, store, write_back or chunk
    reason TEXT NOT NULL, -- cause in one word
    error TEXT NOT NULL, -- full error
    attempts INTEGER NOT NULL, -- [runs] number of runs that took the contact
    run_id TEXT NOT NULL, -- flow run of the last attempt
    failed_at TIMESTAMPTZ NOT NULL, -- when the last attempt failed
    replayed_at TIMESTAMPTZ -- when the contact was queued again
);

-- Values that were not written because the CRM's field doesn't take them; refusals by the mapping's own rules aren't kept.
-- Example: SELECT field, reason, value, count(*) AS contacts
--     FROM field_refusals GROUP BY field, reason, value ORDER BY contacts DESC
CREATE TABLE field_refusals (
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    field TEXT NOT NULL, -- field of the CRM
    reason TEXT NOT NULL, -- why it wasn't written: not_an_option, too_long, not_a_number, or the CRM's own code
    value TEXT, -- value that was refused, cut to 200 characters; NULL if it would say something of the person
    run_id TEXT NOT NULL, -- flow run that would have written it
    refused_at TIMESTAMPTZ NOT NULL -- when the run finished the contact
);
CREATE INDEX refusals_of_contact ON field_refusals (crm, object_type, crm_id);
CREATE INDEX refusals_of_run ON field_refusals (run_id);

-- How each queued contact ended: one row each, kept for good.
-- Example: SELECT disposition, count(*) AS contacts FROM record_ledger GROUP BY disposition
CREATE TABLE record_ledger (
    record_id TEXT PRIMARY KEY, -- id of the request; see enrichment_staging
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    disposition TEXT NOT NULL, -- result: written, unchanged, unmatched, suppressed, invalid, skipped_fresh or failed
    reason TEXT NOT NULL, -- reason of the result; empty if the result says all
    request_key TEXT NOT NULL, -- request that led to the result; empty if none did, erased if the person was
    lane TEXT NOT NULL, -- live or backfill
    source TEXT NOT NULL, -- what had queued the contact; see enrichment_staging
    attempts INTEGER NOT NULL, -- [runs] number of runs that took the contact
    contact_created_at TIMESTAMPTZ, -- when the contact was created in the CRM, if that is known
    staged_at TIMESTAMPTZ NOT NULL, -- when the contact was queued
    finished_at TIMESTAMPTZ NOT NULL, -- when it ended
    run_id TEXT NOT NULL, -- flow run that ended it; empty for an erasure
    lookups TEXT, -- what each provider that was asked said, such as hunter unmatched,zoominfo matched; NULL: none was
    email_domain TEXT, -- domain of the address that it was looked up with; NULL: none, or the person was erased or opted out
    filled_before TEXT, -- CRM fields that had a value before, enclosed and separated by commas; NULL: not read
    CHECK (disposition IN
            ('written', 'unchanged', 'unmatched', 'suppressed', 'invalid', 'skipped_fresh', 'failed'))
);
CREATE INDEX ledger_of_contact ON record_ledger (crm, object_type, crm_id);
CREATE INDEX ledger_of_run ON record_ledger (run_id);

-- The totals of each run.
-- Example: SELECT flow_run_name, started_at, claimed, returned, failure_rate, credits
--     FROM enrichment_runs ORDER BY started_at DESC
CREATE TABLE enrichment_runs (
    run_id TEXT PRIMARY KEY, -- id of the flow run in Prefect
    flow_run_name TEXT NOT NULL, -- name of the flow run when it began
    provider TEXT NOT NULL, -- providers, in the order in which they are queried, separated by commas
    crm TEXT NOT NULL, -- CRM and, behind a slash, the block that names the account
    lane TEXT NOT NULL, -- live or backfill; empty for both
    state TEXT NOT NULL, -- open, closed, cancelled, failed or abandoned (the run died)
    started_at TIMESTAMPTZ NOT NULL, -- when the run began
    seen_at TIMESTAMPTZ NOT NULL, -- when the run last gave a sign of life
    finished_at TIMESTAMPTZ, -- when the run ended
    claimed INTEGER NOT NULL DEFAULT 0, -- [contacts] number of contacts that the run took from the queue
    returned INTEGER NOT NULL DEFAULT 0, -- [contacts] number of contacts that went back to the queue
    failure_rate DOUBLE PRECISION, -- [0 to 1] failed contacts per contact taken
    credits DOUBLE PRECISION, -- [credits] credits that all providers billed
    api_versions JSONB, -- versions of the providers' APIs; a list of texts
    stop_kind TEXT, -- why the run ended early; empty if it didn't
    alert_kind TEXT, -- why people were alerted; empty if all was well
    alert_sent BOOLEAN, -- whether people know the state of the run
    alert_state TEXT, -- what people have been alerted of, as JSON: size, what came since, and when
    invalid INTEGER, -- [contacts] number of contacts that ended as invalid
    unmatched INTEGER, -- [contacts] number of contacts that ended as unmatched
    known INTEGER, -- [contacts] number of contacts that a provider knew: written or unchanged
    CHECK (state IN ('open', 'closed', 'cancelled', 'failed', 'abandoned'))
);

-- Hashes of people who must not be looked up.
-- Example: SELECT reason, count(*) AS hashes FROM suppressed_contacts GROUP BY reason
CREATE TABLE suppressed_contacts (
    key_hash TEXT NOT NULL, -- SHA-256 of an address, of a CRM record's key or of a request
    suppressed_for TEXT NOT NULL, -- hash that was named: that of an erased contact's CRM record, or key_hash itself
    reason TEXT NOT NULL, -- opt_out, erased or another reason that was given
    suppressed_at TIMESTAMPTZ NOT NULL, -- since when
    PRIMARY KEY (key_hash, suppressed_for)
);
CREATE INDEX suppressed_by_contact ON suppressed_contacts (suppressed_for);

-- Who put hashes on the suppression list, and who took them off.
-- Example: SELECT action, changed_by, count(*) AS hashes FROM suppression_changes GROUP BY action, changed_by
CREATE TABLE suppression_changes (
    key_hash TEXT NOT NULL, -- hash that was named; see suppressed_contacts
    action TEXT NOT NULL, -- erased, suppressed or allowed
    reason TEXT NOT NULL, -- reason that was given; empty if none was
    changed_by TEXT NOT NULL, -- user of the operating system, flow run or CRM that did it
    changed_at TIMESTAMPTZ NOT NULL -- when
);
CREATE INDEX changes_of_key ON suppression_changes (key_hash);

-- Positions of listeners, intakes and backfills.
-- Example: SELECT name, updated_at FROM event_cursors ORDER BY updated_at DESC
CREATE TABLE event_cursors (
    name TEXT PRIMARY KEY, -- whose position it is
    cursor TEXT NOT NULL, -- the position, as its owner writes it
    updated_at TIMESTAMPTZ NOT NULL -- when it moved last
);

-- What each run had of each provider, counted from the saved replies.
-- Example: SELECT provider, sum(credits) AS credits FROM provider_usage GROUP BY provider
CREATE TABLE provider_usage (
    run_id TEXT NOT NULL, -- flow run
    provider TEXT NOT NULL, -- provider that answered
    outcome TEXT NOT NULL, -- what the answers mean; see provider_replies
    api_version TEXT NOT NULL, -- version of the provider's API; empty if it gives none
    replies INTEGER NOT NULL, -- [answers] number of answers
    credits DOUBLE PRECISION NOT NULL, -- [credits] credits that the provider billed for them
    request_id TEXT, -- id by which the provider knows the last of these requests
    last_reply_at TIMESTAMPTZ NOT NULL, -- when the last of these answers came
    PRIMARY KEY (run_id, provider, outcome, api_version)
);
CREATE INDEX usage_of_provider ON provider_usage (provider, last_reply_at);

-- Lanes that are paused.
-- Example: SELECT lane, paused_at FROM paused_lanes
CREATE TABLE paused_lanes (
    lane TEXT PRIMARY KEY, -- live or backfill
    paused_at TIMESTAMPTZ NOT NULL -- since when
);

-- Credits that may have been billed for answers that were lost, or can't be read; caps count them.
-- Example: SELECT provider, sum(credits) AS credits FROM doubtful_credits GROUP BY provider
CREATE TABLE doubtful_credits (
    provider TEXT NOT NULL, -- provider that may have billed them
    run_id TEXT NOT NULL, -- flow run that made the request
    credits DOUBLE PRECISION NOT NULL, -- [credits] number of credits
    noted_at TIMESTAMPTZ NOT NULL -- when the answer was lost
);

-- What a credit of each provider costs, from when until when, as the price book said when a run began.
-- Example: SELECT provider, price, currency FROM credit_prices WHERE valid_until IS NULL
CREATE TABLE credit_prices (
    provider TEXT NOT NULL, -- provider that sells them
    price DOUBLE PRECISION NOT NULL, -- [currency] price of one credit
    currency TEXT NOT NULL, -- ISO code of the currency
    valid_from TIMESTAMPTZ NOT NULL, -- since when; of the first price, since 1970
    valid_until TIMESTAMPTZ, -- until when; NULL: it is the present price
    PRIMARY KEY (provider, valid_from)
);

-- Which requests were made for which contact, so that an erasure finds the replies.
-- Example: SELECT provider, request_key FROM contact_requests WHERE crm_id = '501'
CREATE TABLE contact_requests (
    crm_id TEXT NOT NULL, -- id of the record in the CRM
    crm TEXT NOT NULL, -- CRM that knows the contact, such as hubspot
    object_type TEXT NOT NULL, -- type of the CRM record; always contact so far
    provider TEXT NOT NULL, -- provider that was queried
    request_key TEXT NOT NULL, -- the request; see provider_replies
    email_key TEXT, -- SHA-256 of the address that was queried with; NULL if there was none
    PRIMARY KEY (crm_id, crm, object_type, provider, request_key)
);
-- How each queued contact ended, without anything of the person.
-- Example: SELECT month, SUM(matched) * 1.0 / COUNT(matched) AS match_rate FROM contact_results GROUP BY month ORDER BY month
CREATE VIEW contact_results AS
SELECT
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    l.disposition AS result, -- text: written, unchanged, unmatched, suppressed, invalid, skipped_fresh or failed
    l.reason, -- text: reason of the result; empty if the result says all
    CASE
        WHEN l.source = 'remap' THEN NULL
        WHEN l.disposition IN ('written', 'unchanged') THEN 1
        WHEN l.disposition = 'unmatched' THEN 0
    END AS matched, -- integer?: [0 or 1] 1: a provider knew it; 0: unmatched; NULL: not looked up
    l.source, -- text: what had queued the contact: webhook, platform_event, schedule, backfill, submission, manual or remap
    l.lane, -- text: live or backfill
    l.email_domain, -- text?: domain of the address that it was looked up with, if any
    l.attempts, -- integer: [runs] number of runs that took the contact
    ROUND(extract(epoch FROM l.finished_at - l.contact_created_at))::bigint AS seconds_from_created, -- integer?: [seconds] from its creation in the CRM
    ROUND(extract(epoch FROM l.finished_at - l.staged_at))::bigint AS seconds_from_queued, -- integer: [seconds] from when it was queued
    l.finished_at, -- time: when it ended
    to_char(date_trunc('week', l.finished_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it ended, such as 2026-11-23
    to_char(l.finished_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, -- text: month in which it ended, such as 2026-11
    l.run_id -- text: flow run that ended it; empty for an erasure
FROM record_ledger l;

-- What each provider that was asked about a contact knew, of the contacts that count in the match rate.
-- Example: SELECT provider, SUM(matched) * 1.0 / COUNT(matched) AS match_rate FROM provider_results GROUP BY provider
CREATE VIEW provider_results AS
SELECT
    p.provider, -- text: provider that was asked
    CASE WHEN ',' || l.lookups || ',' LIKE '%,' || p.provider || ' matched,%' THEN 1 ELSE 0 END AS matched, -- integer: [0 or 1] whether it knew the contact
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    l.source, -- text: what had queued the contact; see contact_results
    l.lane, -- text: live or backfill
    l.email_domain, -- text?: domain of the address that it was looked up with, if any
    l.finished_at, -- time: when the contact ended
    to_char(date_trunc('week', l.finished_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it ended, such as 2026-11-23
    to_char(l.finished_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month -- text: month in which it ended, such as 2026-11
FROM record_ledger l
JOIN (
    SELECT DISTINCT a.provider FROM (
        SELECT provider FROM provider_usage UNION ALL SELECT provider FROM provider_replies) a) p
    ON ',' || l.lookups || ',' LIKE '%,' || p.provider || ' %'
WHERE l.disposition IN ('written', 'unchanged', 'unmatched');

-- How many results have each field, by week and provider; each answer counts once, as it was first read.
-- Example: SELECT field, SUM(filled) AS filled, SUM(results) AS results FROM field_fill GROUP BY field
CREATE VIEW field_fill AS
SELECT
    h.provider, -- text: provider that knew the contact; the first one if several did
    h.field, -- text: canonical field; see docs/fields.md
    to_char(date_trunc('week', h.enrichment_timestamp AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which the provider answered, such as 2026-11-23
    to_char(h.enrichment_timestamp AT TIME ZONE 'UTC', 'YYYY-MM') AS month, -- text: month in which the provider answered, such as 2026-11
    COUNT(*) AS results, -- integer: [results] number of results
    SUM(h.filled) AS filled -- integer: [results] number of results that have the field
FROM (
    SELECT h.provider, h.enrichment_timestamp, CAST('company_name' AS TEXT) AS field,
        CASE WHEN h.company_name IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'employee_count' AS field,
        CASE WHEN h.employee_count IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'industry' AS field,
        CASE WHEN h.industry IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'tech_stack' AS field,
        CASE WHEN h.tech_stack <> '[]'::jsonb THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'linkedin_url' AS field,
        CASE WHEN h.linkedin_url IS NOT NULL THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL
    UNION ALL
    SELECT h.provider, h.enrichment_timestamp, 'intent_keywords' AS field,
        CASE WHEN h.intent_keywords <> '[]'::jsonb THEN 1 ELSE 0 END AS filled
    FROM enrichment_history h WHERE h.remapped_at IS NULL) h
GROUP BY h.provider, h.field,
    to_char(date_trunc('week', h.enrichment_timestamp AT TIME ZONE 'UTC'), 'YYYY-MM-DD'),
    to_char(h.enrichment_timestamp AT TIME ZONE 'UTC', 'YYYY-MM');

-- What providers billed, by run, outcome and API version; with money where the price book has a price.
-- Example: SELECT month, provider, SUM(credits) AS credits, SUM(cost) AS cost FROM spending GROUP BY month, provider
CREATE VIEW spending AS
SELECT
    u.run_id, -- text: flow run
    u.provider, -- text: provider that answered
    u.outcome, -- text: what the answers mean, such as matched or unmatched; see docs/add-a-provider.md
    u.api_version, -- text: version of the provider's API; empty if it gives none
    u.replies, -- integer: [answers] number of answers
    u.credits, -- number: [credits] credits that the provider billed for them
    u.credits * c.price AS cost, -- number?: [currency] what they cost; NULL without a price
    c.currency, -- text?: ISO code of the currency of the cost; NULL without a price
    u.last_reply_at, -- time: when the last of these answers came
    to_char(date_trunc('week', u.last_reply_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it came, such as 2026-11-23
    to_char(u.last_reply_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month -- text: month in which it came, such as 2026-11
FROM (
    SELECT s.run_id, s.provider, s.outcome, s.api_version, s.replies, s.credits, s.last_reply_at FROM provider_usage s
    UNION ALL
    SELECT r.run_id, r.provider, r.outcome, COALESCE(r.api_version, '') AS api_version, COUNT(*) AS replies,
        SUM(r.credits) AS credits, MAX(r.received_at) AS last_reply_at
    FROM provider_replies r
    LEFT JOIN (SELECT DISTINCT run_id FROM provider_usage) k ON k.run_id = r.run_id
    WHERE k.run_id IS NULL
    GROUP BY r.run_id, r.provider, r.outcome, COALESCE(r.api_version, '')) u
LEFT JOIN credit_prices c ON c.provider = u.provider AND c.valid_from <= u.last_reply_at
    AND (c.valid_until IS NULL OR c.valid_until > u.last_reply_at);

-- What was known of the company of each contact, and from when until when: history as of any date.
-- Example: SELECT crm_id, company_name, employee_count FROM company_history WHERE valid_until IS NULL
CREATE VIEW company_history AS
SELECT
    h.crm, -- text: CRM that knows the contact, such as hubspot
    h.object_type, -- text: type of the CRM record; always contact so far
    h.crm_id, -- text: id of the record in the CRM
    h.provider, -- text: provider that knew the contact; the first one if several did
    h.confidence, -- number?: [percent] how sure the provider is of its answer
    h.company_name, -- text?: name of the company
    h.employee_count, -- integer?: [employees] number of employees of the company
    h.industry, -- text?: industry of the company
    h.tech_stack, -- JSON?: technologies that the company uses; a list of texts
    h.intent_keywords, -- JSON?: topics that the company researches; a list of texts
    COALESCE(h.remapped_at, h.enrichment_timestamp) AS valid_from, -- time: when the provider answered, or its answer was remapped
    LEAD(COALESCE(h.remapped_at, h.enrichment_timestamp)) OVER (
        PARTITION BY h.crm, h.object_type, h.crm_id
        ORDER BY COALESCE(h.remapped_at, h.enrichment_timestamp)) AS valid_until -- time?: when the next result of the contact came; NULL: none has
FROM enrichment_history h;

-- Each value that the CRM has taken from us, without the value.
-- Example: SELECT field, SUM(was_blank) AS filled, COUNT(*) - SUM(was_blank) AS replaced FROM written_fields GROUP BY field
CREATE VIEW written_fields AS
SELECT
    w.crm, -- text: CRM that knows the contact, such as hubspot
    w.object_type, -- text: type of the CRM record; always contact so far
    w.crm_id, -- text: id of the record in the CRM
    w.field, -- text: field of the CRM
    CASE WHEN w.before IS NULL OR w.before = '' THEN 1 ELSE 0 END AS was_blank, -- integer: [0 or 1] whether the field was blank before
    CASE WHEN w.reverted_at IS NULL THEN 0 ELSE 1 END AS reverted, -- integer: [0 or 1] whether the change was taken back
    w.written_at, -- time: when the CRM had confirmed it
    to_char(date_trunc('week', w.written_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it had, such as 2026-11-23
    to_char(w.written_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month, -- text: month in which it had, such as 2026-11
    w.run_id -- text: flow run that wrote it
FROM crm_writes w
WHERE w.written_at IS NOT NULL AND NOT w.is_undo;

-- Which fields of each contact had a value in the CRM before our first write, and have one now; of the fields that we write.
-- Example: SELECT field, SUM(filled_before) AS filled_before, SUM(filled_now) AS filled_now, COUNT(*) AS contacts FROM crm_completeness GROUP BY field
CREATE VIEW crm_completeness AS
SELECT
    l.crm, -- text: CRM that knows the contact, such as hubspot
    l.object_type, -- text: type of the CRM record; always contact so far
    l.crm_id, -- text: id of the record in the CRM
    f.field, -- text: field of the CRM
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' THEN 1 ELSE 0 END AS filled_before, -- integer: [0 or 1] whether the field had a value when we first read the contact
    CASE WHEN l.filled_before LIKE '%,' || f.field || ',%' OR w.crm_id IS NOT NULL THEN 1 ELSE 0 END AS filled_now, -- integer: [0 or 1] whether it had one then, or we have written one that was not undone
    l.finished_at, -- time: when the contact was first finished
    to_char(date_trunc('week', l.finished_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it was, such as 2026-11-23
    to_char(l.finished_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month -- text: month in which it was, such as 2026-11
FROM (
    SELECT n.crm, n.object_type, n.crm_id, n.filled_before, n.finished_at,
        ROW_NUMBER() OVER (PARTITION BY n.crm, n.object_type, n.crm_id ORDER BY n.finished_at, LENGTH(n.filled_before)) AS place
    FROM record_ledger n WHERE n.filled_before IS NOT NULL) l
JOIN (SELECT DISTINCT crm, object_type, field FROM crm_writes WHERE written_at IS NOT NULL) f
    ON f.crm = l.crm AND f.object_type = l.object_type
LEFT JOIN (
    SELECT DISTINCT crm, object_type, crm_id, field FROM crm_writes
    WHERE written_at IS NOT NULL AND reverted_at IS NULL AND NOT is_undo) w
    ON w.crm = l.crm AND w.object_type = l.object_type AND w.crm_id = l.crm_id AND w.field = f.field
WHERE l.place = 1;

-- The totals of each run, with the week and the month in which it began.
-- Example: SELECT month, state, COUNT(*) AS runs, SUM(claimed) AS contacts FROM run_totals GROUP BY month, state
CREATE VIEW run_totals AS
SELECT
    n.run_id, -- text: id of the flow run in Prefect
    n.provider, -- text: providers, in the order in which they are queried, separated by commas
    n.crm, -- text: CRM and, behind a slash, the block that names the account
    n.lane, -- text: live or backfill; empty for both
    n.state, -- text: open, closed, cancelled, failed or abandoned (the run died)
    COALESCE(n.stop_kind, '') AS stop_kind, -- text: why the run ended early; empty if it didn't
    COALESCE(n.alert_kind, '') AS alert_kind, -- text: why people were alerted; empty if all was well
    n.claimed, -- integer: [contacts] number of contacts that the run took from the queue
    n.returned, -- integer: [contacts] number of contacts that went back to the queue
    n.failure_rate, -- number?: [0 to 1] failed contacts per contact taken
    ROUND(extract(epoch FROM n.finished_at - n.started_at))::bigint AS seconds, -- integer?: [seconds] from its begin to its end; NULL: it has not ended
    n.started_at, -- time: when the run began
    to_char(date_trunc('week', n.started_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD') AS week, -- text: Monday of the week in which it began, such as 2026-11-23
    to_char(n.started_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month -- text: month in which it began, such as 2026-11
FROM enrichment_runs n
