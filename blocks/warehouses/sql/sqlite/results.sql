-- query: upsert_contacts
-- Keeps the newest result of each contact.
-- differs because of how a list is unpacked and how rows are merged
INSERT INTO enriched_contacts (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, :object_type, value ->> 'crm_id', value ->> 'enrichment_timestamp', value ->> 'company_name',
    value ->> 'employee_count', value ->> 'industry', value ->> 'tech_stack', value ->> 'linkedin_url',
    value ->> 'intent_keywords', value ->> 'provider', value ->> 'provider_record_id', value ->> 'confidence',
    value ->> 'attributes', :run_id
FROM json_each(:rows) WHERE true
ON CONFLICT (crm, object_type, crm_id) DO UPDATE SET
    enrichment_timestamp = excluded.enrichment_timestamp, company_name = excluded.company_name,
    employee_count = excluded.employee_count, industry = excluded.industry, tech_stack = excluded.tech_stack,
    linkedin_url = excluded.linkedin_url, intent_keywords = excluded.intent_keywords, provider = excluded.provider,
    provider_record_id = excluded.provider_record_id, confidence = excluded.confidence,
    attributes = excluded.attributes, run_id = excluded.run_id
WHERE excluded.enrichment_timestamp >= enriched_contacts.enrichment_timestamp

-- query: append_history
-- Adds results to the history, each once, or once more by each run that remaps it.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO enrichment_history (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count,
    industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id,
    remapped_at)
SELECT :crm, :object_type, value ->> 'crm_id', value ->> 'enrichment_timestamp', value ->> 'company_name',
    value ->> 'employee_count', value ->> 'industry', value ->> 'tech_stack', value ->> 'linkedin_url',
    value ->> 'intent_keywords', value ->> 'provider', value ->> 'provider_record_id', value ->> 'confidence',
    value ->> 'attributes', :run_id,
    CASE WHEN value ->> 'remapped_by' IS NOT NULL THEN strftime('%Y-%m-%dT%H:%M:%fZ', 'now') END
FROM json_each(:rows) r
WHERE NOT EXISTS (
    SELECT 1 FROM enrichment_history h
    WHERE h.crm = :crm AND h.object_type = :object_type AND h.crm_id = r.value ->> 'crm_id'
        AND h.provider = r.value ->> 'provider'
        AND h.enrichment_timestamp = r.value ->> 'enrichment_timestamp'
        AND COALESCE(h.provider_record_id, '') = COALESCE(r.value ->> 'provider_record_id', '')
        AND h.run_id = COALESCE(r.value ->> 'remapped_by', h.run_id))

-- query: upsert_unmatched
-- Files unmatched contacts; what was reviewed stays so while nothing about it has changed.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO unmatched_records (crm, object_type, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
SELECT :crm, :object_type, value ->> 'crm_id', value ->> 'lookup_identifier', value ->> 'reason', :provider, :run_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(:rows) WHERE true
ON CONFLICT (crm, object_type, crm_id, provider) DO UPDATE SET
    -- What people have reviewed stays reviewed while nothing about it has changed.
    reviewed_at = CASE WHEN unmatched_records.reason = excluded.reason
        AND unmatched_records.lookup_identifier IS excluded.lookup_identifier THEN unmatched_records.reviewed_at END,
    lookup_identifier = excluded.lookup_identifier, reason = excluded.reason, run_id = excluded.run_id,
    unmatched_at = excluded.unmatched_at

-- query: plan_writes
-- Keeps the changes that are about to be sent to the CRM.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO crm_writes (crm, object_type, crm_id, field, before, after, run_id, is_undo, planned_at)
SELECT :crm, :object_type, value ->> 'crm_id', value ->> 'field', value ->> 'before', value ->> 'after', :run_id,
    :is_undo, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(:rows) WHERE true
ON CONFLICT (crm, object_type, crm_id, field, run_id) DO UPDATE SET before = excluded.before, after = excluded.after
WHERE crm_writes.written_at IS NULL

-- query: confirm_writes
-- Marks changes that the CRM holds.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET written_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT value ->> 'crm_id', value ->> 'field', value ->> 'run_id' FROM json_each(:rows))

-- query: mark_reverted
-- Marks changes as undone.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET reverted_by = :reverted_by, reverted_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE crm = :crm AND object_type = :object_type AND reverted_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT value ->> 'crm_id', value ->> 'field', value ->> 'run_id' FROM json_each(:rows))

-- query: unmark_reverted
-- Marks changes as valid again that a run had undone, which is undone now.
-- differs because of how a list is unpacked
UPDATE crm_writes SET reverted_by = NULL, reverted_at = NULL
WHERE crm = :crm AND object_type = :object_type AND (crm_id, field, reverted_by) IN (
    SELECT value ->> 'crm_id', value ->> 'field', value ->> 'run_id' FROM json_each(:rows))

-- query: forget_open_undo
-- Forgets what was announced to be undone in these fields and never confirmed.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND is_undo
    AND (crm_id, field) IN (SELECT value ->> 'crm_id', value ->> 'field' FROM json_each(:rows))

-- query: forget_open_writes
-- Forgets the unconfirmed changes of the claim's finished records.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND NOT is_undo
    AND crm_id IN (
    SELECT s.crm_id FROM json_each(:rows) r CROSS JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
    WHERE s.claimed_by = :token)

-- query: write_dead_letters
-- Keeps the claim's failed records as dead letters.
-- differs because of the clock and how a list is unpacked
INSERT INTO failed_records
    (record_id, crm, object_type, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.lane, s.source, r.value ->> 'step',
    r.value ->> 'reason',
    r.value ->> 'detail', s.attempts, :run_id, strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(:rows) r CROSS JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token AND r.value ->> 'disposition' = 'failed'

-- query: write_refusals
-- Keeps which fields of the claim's finished records were refused.
-- differs because of the clock and how a list is unpacked
INSERT INTO field_refusals (crm, object_type, crm_id, field, reason, value, run_id, refused_at)
SELECT s.crm, s.object_type, s.crm_id, r.value ->> 'field', r.value ->> 'reason', r.value ->> 'value', :run_id,
    strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(:rows) r CROSS JOIN enrichment_staging s ON s.record_id = r.value ->> 'record_id'
WHERE s.claimed_by = :token

-- query: open_plan
-- Opens a plan, unless it is there.
-- differs because of the clock and how rows are merged
INSERT INTO change_plans (plan_id, crm, provider, cause, policy, digest, made_at, made_by, state)
VALUES (:plan_id, :crm, :provider, :cause, :policy, '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), :made_by, 'waiting')
ON CONFLICT (plan_id) DO NOTHING

-- query: keep_planned
-- Keeps changes of a plan.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO planned_changes (plan_id, crm, object_type, crm_id, record_id, field, before, after, rule, source, planned_at)
SELECT :plan_id, :crm, :object_type, value ->> 'crm_id', value ->> 'record_id', value ->> 'field', value ->> 'before',
    value ->> 'after', value ->> 'reason', value ->> 'source', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM json_each(:rows) WHERE true
ON CONFLICT (plan_id, crm, object_type, crm_id, field) DO UPDATE SET record_id = excluded.record_id,
    before = excluded.before, after = excluded.after, rule = excluded.rule, source = excluded.source
