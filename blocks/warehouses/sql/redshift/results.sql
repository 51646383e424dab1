-- query: upsert_contacts
-- Keeps the newest result of each contact.
-- differs because of how a list is unpacked and how rows are merged
DELETE FROM enriched_contacts USING :rows r
WHERE enriched_contacts.crm = :crm AND enriched_contacts.object_type = :object_type
    AND enriched_contacts.crm_id = r.crm_id
    AND r.enrichment_timestamp::TIMESTAMP >= enriched_contacts.enrichment_timestamp;
INSERT INTO enriched_contacts (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
SELECT :crm, :object_type, r.crm_id, r.enrichment_timestamp::TIMESTAMP, r.company_name, r.employee_count::INTEGER,
    r.industry,
    JSON_PARSE(r.tech_stack), r.linkedin_url, JSON_PARSE(r.intent_keywords), r.provider, r.provider_record_id,
    r.confidence::DOUBLE PRECISION, JSON_PARSE(r.attributes), :run_id
FROM :rows r
WHERE NOT EXISTS (SELECT 1 FROM enriched_contacts c WHERE c.crm = :crm AND c.object_type = :object_type
    AND c.crm_id = r.crm_id)

-- query: append_history
-- Adds results to the history, each once, or once more by each run that remaps it.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO enrichment_history (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count,
    industry, tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id,
    remapped_at)
SELECT :crm, :object_type, r.crm_id, r.enrichment_timestamp::TIMESTAMP, r.company_name, r.employee_count::INTEGER,
    r.industry,
    JSON_PARSE(r.tech_stack), r.linkedin_url, JSON_PARSE(r.intent_keywords), r.provider, r.provider_record_id,
    r.confidence::DOUBLE PRECISION, JSON_PARSE(r.attributes), :run_id,
    CASE WHEN r.remapped_by IS NOT NULL THEN GETDATE() END
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM enrichment_history h
    WHERE h.crm = :crm AND h.object_type = :object_type AND h.crm_id = r.crm_id AND h.provider = r.provider
        AND h.enrichment_timestamp = r.enrichment_timestamp::TIMESTAMP
        AND COALESCE(h.provider_record_id, '') = COALESCE(r.provider_record_id, '')
        AND h.run_id = COALESCE(r.remapped_by, h.run_id))

-- query: upsert_unmatched
-- Files unmatched contacts; what was reviewed stays so while nothing about it has changed.
-- differs because of the clock, how a list is unpacked and how rows are merged
UPDATE unmatched_records SET
    reviewed_at = CASE WHEN unmatched_records.reason = r.reason
        AND (unmatched_records.lookup_identifier = r.lookup_identifier
            OR unmatched_records.lookup_identifier IS NULL AND r.lookup_identifier IS NULL)
        THEN unmatched_records.reviewed_at END,
    lookup_identifier = r.lookup_identifier, reason = r.reason, run_id = :run_id, unmatched_at = GETDATE()
FROM :rows r
WHERE unmatched_records.crm = :crm AND unmatched_records.object_type = :object_type
    AND unmatched_records.crm_id = r.crm_id
    AND unmatched_records.provider = :provider;
INSERT INTO unmatched_records (crm, object_type, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
SELECT :crm, :object_type, r.crm_id, r.lookup_identifier, r.reason, :provider, :run_id, GETDATE()
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM unmatched_records u WHERE u.crm = :crm AND u.object_type = :object_type AND u.crm_id = r.crm_id
        AND u.provider = :provider)

-- query: plan_writes
-- Keeps the changes that are about to be sent to the CRM.
-- differs because of the clock, how a list is unpacked and how rows are merged
DELETE FROM crm_writes USING :rows r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field
    AND crm_writes.run_id = :run_id AND crm_writes.written_at IS NULL;
INSERT INTO crm_writes (crm, object_type, crm_id, field, before, after, run_id, is_undo, planned_at)
SELECT :crm, :object_type, r.crm_id, r.field, r.before, r.after, :run_id, :is_undo, GETDATE()
FROM :rows r
WHERE NOT EXISTS (
    SELECT 1 FROM crm_writes w
    WHERE w.crm = :crm AND w.object_type = :object_type AND w.crm_id = r.crm_id AND w.field = r.field
        AND w.run_id = :run_id)

-- query: confirm_writes
-- Marks changes that the CRM holds.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET written_at = GETDATE()
FROM :rows r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type AND crm_writes.written_at IS NULL
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: mark_reverted
-- Marks changes as undone.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET reverted_by = :reverted_by, reverted_at = GETDATE()
FROM :rows r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type AND crm_writes.reverted_at IS NULL
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: unmark_reverted
-- Marks changes as valid again that a run had undone, which is undone now.
-- differs because of how a list is unpacked
UPDATE crm_writes SET reverted_by = NULL, reverted_at = NULL
FROM :rows r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.reverted_by = r.run_id

-- query: forget_open_undo
-- Forgets what was announced to be undone in these fields and never confirmed.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND is_undo
    AND EXISTS (SELECT 1 FROM :rows r WHERE r.crm_id = crm_writes.crm_id AND r.field = crm_writes.field)

-- query: forget_open_writes
-- Forgets the unconfirmed changes of the claim's finished records.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND NOT is_undo
    AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s JOIN :rows r ON r.record_id = s.record_id WHERE s.claimed_by = :token)

-- query: write_dead_letters
-- Keeps the claim's failed records as dead letters.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO failed_records
    (record_id, crm, object_type, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail,
    s.attempts,
    :run_id, GETDATE()
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND r.disposition = 'failed'
    AND NOT EXISTS (SELECT 1 FROM failed_records f WHERE f.record_id = s.record_id)

-- query: write_refusals
-- Keeps which fields of the claim's finished records were refused.
-- differs because of the clock and how a list is unpacked
INSERT INTO field_refusals (crm, object_type, crm_id, field, reason, value, run_id, refused_at)
SELECT s.crm, s.object_type, s.crm_id, r.field, r.reason, r.value, :run_id, GETDATE()
FROM :rows r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token

-- query: open_plan
-- Opens a plan, unless it is there.
-- differs because of the clock and how rows are merged
INSERT INTO change_plans (plan_id, crm, provider, cause, policy, digest, made_at, made_by, state)
SELECT :plan_id, :crm, :provider, :cause, :policy, '', GETDATE(), :made_by, 'waiting'
WHERE NOT EXISTS (SELECT 1 FROM change_plans WHERE plan_id = :plan_id)

-- query: keep_planned
-- Keeps changes of a plan.
-- differs because of the clock, how a list is unpacked and how rows are merged
DELETE FROM planned_changes USING :rows r
WHERE planned_changes.plan_id = :plan_id AND planned_changes.crm = :crm
    AND planned_changes.object_type = :object_type AND planned_changes.crm_id = r.crm_id
    AND planned_changes.field = r.field;
INSERT INTO planned_changes (plan_id, crm, object_type, crm_id, record_id, field, before, after, rule, source, planned_at)
SELECT :plan_id, :crm, :object_type, r.crm_id, r.record_id, r.field, r.before, r.after, r.reason, r.source, GETDATE()
FROM :rows r
