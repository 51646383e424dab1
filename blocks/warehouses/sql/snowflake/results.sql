-- query: upsert_contacts
-- Keeps the newest result of each contact.
-- differs because of how a list is unpacked and how rows are merged
MERGE INTO enriched_contacts t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id,
        CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) AS enrichment_timestamp,
        f.value['company_name']::VARCHAR AS company_name, f.value['employee_count']::INTEGER AS employee_count,
        f.value['industry']::VARCHAR AS industry, f.value['tech_stack'] AS tech_stack,
        f.value['linkedin_url']::VARCHAR AS linkedin_url, f.value['intent_keywords']::ARRAY AS intent_keywords,
        f.value['provider']::VARCHAR AS provider, f.value['provider_record_id']::VARCHAR AS provider_record_id,
        f.value['confidence']::DOUBLE AS confidence, f.value['attributes'] AS attributes
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR
        ORDER BY CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) DESC, f.index DESC) = 1) s
ON t.crm = :crm AND t.object_type = :object_type AND t.crm_id = s.crm_id
WHEN MATCHED AND s.enrichment_timestamp >= t.enrichment_timestamp THEN UPDATE SET
    enrichment_timestamp = s.enrichment_timestamp, company_name = s.company_name, employee_count = s.employee_count,
    industry = s.industry, tech_stack = s.tech_stack, linkedin_url = s.linkedin_url,
    intent_keywords = s.intent_keywords, provider = s.provider, provider_record_id = s.provider_record_id,
    confidence = s.confidence, attributes = s.attributes, run_id = :run_id
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
    VALUES (:crm, :object_type, s.crm_id, s.enrichment_timestamp, s.company_name, s.employee_count, s.industry,
        s.tech_stack,
    s.linkedin_url, s.intent_keywords, s.provider, s.provider_record_id, s.confidence, s.attributes, :run_id)

-- query: append_history
-- Adds results to the history, each once, or once more by each run that remaps it.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO enrichment_history t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id,
        CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ) AS enrichment_timestamp,
        f.value['company_name']::VARCHAR AS company_name, f.value['employee_count']::INTEGER AS employee_count,
        f.value['industry']::VARCHAR AS industry, f.value['tech_stack'] AS tech_stack,
        f.value['linkedin_url']::VARCHAR AS linkedin_url, f.value['intent_keywords']::ARRAY AS intent_keywords,
        f.value['provider']::VARCHAR AS provider, f.value['provider_record_id']::VARCHAR AS provider_record_id,
        f.value['confidence']::DOUBLE AS confidence, f.value['attributes'] AS attributes,
        f.value['remapped_by']::VARCHAR AS remapped_by
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR, f.value['provider']::VARCHAR,
            CAST(f.value['enrichment_timestamp']::VARCHAR AS TIMESTAMP_NTZ)
        ORDER BY f.index) = 1) s
ON t.crm = :crm AND t.object_type = :object_type AND t.crm_id = s.crm_id AND t.provider = s.provider
    AND t.enrichment_timestamp = s.enrichment_timestamp AND t.run_id = COALESCE(s.remapped_by, t.run_id)
    AND COALESCE(t.provider_record_id, '') = COALESCE(s.provider_record_id, '')
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id,
    remapped_at)
    VALUES (:crm, :object_type, s.crm_id, s.enrichment_timestamp, s.company_name, s.employee_count, s.industry,
        s.tech_stack,
    s.linkedin_url, s.intent_keywords, s.provider, s.provider_record_id, s.confidence, s.attributes, :run_id,
    CASE WHEN s.remapped_by IS NOT NULL THEN SYSDATE() END)

-- query: upsert_unmatched
-- Files unmatched contacts; what was reviewed stays so while nothing about it has changed.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO unmatched_records t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id, f.value['lookup_identifier']::VARCHAR AS lookup_identifier,
        f.value['reason']::VARCHAR AS reason
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (PARTITION BY f.value['crm_id']::VARCHAR ORDER BY f.index DESC) = 1) s
ON t.crm = :crm AND t.object_type = :object_type AND t.crm_id = s.crm_id AND t.provider = :provider
WHEN MATCHED THEN UPDATE SET
    reviewed_at = IFF(t.reason = s.reason AND t.lookup_identifier IS NOT DISTINCT FROM s.lookup_identifier,
        t.reviewed_at, NULL),
    lookup_identifier = s.lookup_identifier, reason = s.reason, run_id = :run_id, unmatched_at = SYSDATE()
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
    VALUES (:crm, :object_type, s.crm_id, s.lookup_identifier, s.reason, :provider, :run_id, SYSDATE())

-- query: plan_writes
-- Keeps the changes that are about to be sent to the CRM.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO crm_writes t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id, f.value['field']::VARCHAR AS field,
        f.value['before']::VARCHAR AS before, f.value['after']::VARCHAR AS after
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR ORDER BY f.index DESC) = 1) s
ON t.crm = :crm AND t.object_type = :object_type AND t.crm_id = s.crm_id AND t.field = s.field AND t.run_id = :run_id
WHEN MATCHED AND t.written_at IS NULL THEN UPDATE SET before = s.before, after = s.after
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, field, before, after, run_id, is_undo, planned_at)
    VALUES (:crm, :object_type, s.crm_id, s.field, s.before, s.after, :run_id, :is_undo, SYSDATE())

-- query: confirm_writes
-- Marks changes that the CRM holds.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET written_at = SYSDATE()
WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR, f.value['run_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: mark_reverted
-- Marks changes as undone.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET reverted_by = :reverted_by, reverted_at = SYSDATE()
WHERE crm = :crm AND object_type = :object_type AND reverted_at IS NULL AND (crm_id, field, run_id) IN (
    SELECT f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR, f.value['run_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: unmark_reverted
-- Marks changes as valid again that a run had undone, which is undone now.
-- differs because of how a list is unpacked
UPDATE crm_writes SET reverted_by = NULL, reverted_at = NULL
WHERE crm = :crm AND object_type = :object_type AND (crm_id, field, reverted_by) IN (
    SELECT f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR, f.value['run_id']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: forget_open_undo
-- Forgets what was announced to be undone in these fields and never confirmed.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND is_undo
    AND (crm_id, field) IN (SELECT f.value['crm_id']::VARCHAR, f.value['field']::VARCHAR
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- query: forget_open_writes
-- Forgets the unconfirmed changes of the claim's finished records.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND NOT is_undo
    AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token)

-- query: write_dead_letters
-- Keeps the claim's failed records as dead letters.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO failed_records t USING (
    SELECT s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail,
        s.attempts
    FROM enrichment_staging s
    JOIN (
        SELECT f.value['record_id']::VARCHAR AS record_id, f.value['disposition']::VARCHAR AS disposition,
            f.value['step']::VARCHAR AS step, f.value['reason']::VARCHAR AS reason, f.value['detail']::VARCHAR AS detail
        FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
    WHERE s.claimed_by = :token AND r.disposition = 'failed'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY s.record_id ORDER BY s.staged_at) = 1) s
ON t.record_id = s.record_id
WHEN NOT MATCHED THEN INSERT
    (record_id, crm, object_type, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
    VALUES (s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.lane, s.source, s.step, s.reason,
        s.detail, s.attempts,
    :run_id, SYSDATE())

-- query: write_refusals
-- Keeps which fields of the claim's finished records were refused.
-- differs because of the clock and how a list is unpacked
INSERT INTO field_refusals (crm, object_type, crm_id, field, reason, value, run_id, refused_at)
SELECT s.crm, s.object_type, s.crm_id, r.field, r.reason, r.value, :run_id, SYSDATE()
FROM enrichment_staging s
JOIN (
    SELECT f.value['record_id']::VARCHAR AS record_id, f.value['field']::VARCHAR AS field,
        f.value['reason']::VARCHAR AS reason, f.value['value']::VARCHAR AS value
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) r ON r.record_id = s.record_id
WHERE s.claimed_by = :token

-- query: open_plan
-- Opens a plan, unless it is there.
-- differs because of the clock and how rows are merged
MERGE INTO change_plans t USING (SELECT :plan_id AS plan_id) s ON t.plan_id = s.plan_id
WHEN NOT MATCHED THEN INSERT (plan_id, crm, provider, cause, policy, digest, made_at, made_by, state)
    VALUES (:plan_id, :crm, :provider, :cause, :policy, '', SYSDATE(), :made_by, 'waiting')

-- query: keep_planned
-- Keeps changes of a plan.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE INTO planned_changes t USING (
    SELECT f.value['crm_id']::VARCHAR AS crm_id, f.value['record_id']::VARCHAR AS record_id, f.value['field']::VARCHAR AS field,
        f.value['before']::VARCHAR AS before, f.value['after']::VARCHAR AS after, f.value['reason']::VARCHAR AS reason,
        f.value['source']::VARCHAR AS source
    FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f) s
ON t.plan_id = :plan_id AND t.crm = :crm AND t.object_type = :object_type AND t.crm_id = s.crm_id AND t.field = s.field
WHEN MATCHED THEN UPDATE SET record_id = s.record_id, before = s.before, after = s.after, rule = s.reason,
    source = s.source
WHEN NOT MATCHED THEN INSERT (plan_id, crm, object_type, crm_id, record_id, field, before, after, rule, source,
    planned_at)
    VALUES (:plan_id, :crm, :object_type, s.crm_id, s.record_id, s.field, s.before, s.after, s.reason, s.source,
        SYSDATE())
