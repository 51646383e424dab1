-- query: upsert_contacts
-- Keeps the newest result of each contact.
-- differs because of how a list is unpacked and how rows are merged
MERGE enriched_contacts c
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id,
        JSON_VALUE(value, '$.enrichment_timestamp') AS enrichment_timestamp,
        JSON_VALUE(value, '$.company_name') AS company_name, JSON_VALUE(value, '$.employee_count') AS employee_count,
        JSON_VALUE(value, '$.industry') AS industry, JSON_QUERY(value, '$.tech_stack') AS tech_stack,
        JSON_VALUE(value, '$.linkedin_url') AS linkedin_url,
        JSON_QUERY(value, '$.intent_keywords') AS intent_keywords, JSON_VALUE(value, '$.provider') AS provider,
        JSON_VALUE(value, '$.provider_record_id') AS provider_record_id,
        JSON_VALUE(value, '$.confidence') AS confidence, JSON_QUERY(value, '$.attributes') AS attributes
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON c.crm = :crm AND c.object_type = :object_type AND c.crm_id = r.crm_id
WHEN MATCHED AND TIMESTAMP(r.enrichment_timestamp) >= c.enrichment_timestamp THEN UPDATE SET
    enrichment_timestamp = TIMESTAMP(r.enrichment_timestamp), company_name = r.company_name,
    employee_count = CAST(r.employee_count AS INT64), industry = r.industry,
    tech_stack = PARSE_JSON(r.tech_stack, wide_number_mode => 'round'),
    linkedin_url = r.linkedin_url, intent_keywords = PARSE_JSON(r.intent_keywords, wide_number_mode => 'round'),
    provider = r.provider,
    provider_record_id = r.provider_record_id, confidence = CAST(r.confidence AS FLOAT64),
    attributes = PARSE_JSON(r.attributes, wide_number_mode => 'round'), run_id = :run_id
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id)
VALUES (:crm, :object_type, r.crm_id, TIMESTAMP(r.enrichment_timestamp), r.company_name,
    CAST(r.employee_count AS INT64), r.industry,
    PARSE_JSON(r.tech_stack, wide_number_mode => 'round'), r.linkedin_url,
    PARSE_JSON(r.intent_keywords, wide_number_mode => 'round'), r.provider, r.provider_record_id,
    CAST(r.confidence AS FLOAT64), PARSE_JSON(r.attributes, wide_number_mode => 'round'), :run_id)

-- query: append_history
-- Adds results to the history, each once, or once more by each run that remaps it.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE enrichment_history h
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id,
        JSON_VALUE(value, '$.enrichment_timestamp') AS enrichment_timestamp,
        JSON_VALUE(value, '$.company_name') AS company_name, JSON_VALUE(value, '$.employee_count') AS employee_count,
        JSON_VALUE(value, '$.industry') AS industry, JSON_QUERY(value, '$.tech_stack') AS tech_stack,
        JSON_VALUE(value, '$.linkedin_url') AS linkedin_url,
        JSON_QUERY(value, '$.intent_keywords') AS intent_keywords, JSON_VALUE(value, '$.provider') AS provider,
        JSON_VALUE(value, '$.provider_record_id') AS provider_record_id,
        JSON_VALUE(value, '$.confidence') AS confidence, JSON_QUERY(value, '$.attributes') AS attributes,
        JSON_VALUE(value, '$.remapped_by') AS remapped_by
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON h.crm = :crm AND h.object_type = :object_type AND h.crm_id = r.crm_id AND h.provider = r.provider
    AND h.enrichment_timestamp = TIMESTAMP(r.enrichment_timestamp) AND h.run_id = COALESCE(r.remapped_by, h.run_id)
    AND COALESCE(h.provider_record_id, '') = COALESCE(r.provider_record_id, '')
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, enrichment_timestamp, company_name, employee_count, industry,
    tech_stack,
    linkedin_url, intent_keywords, provider, provider_record_id, confidence, attributes, run_id,
    remapped_at)
VALUES (:crm, :object_type, r.crm_id, TIMESTAMP(r.enrichment_timestamp), r.company_name,
    CAST(r.employee_count AS INT64), r.industry,
    PARSE_JSON(r.tech_stack, wide_number_mode => 'round'), r.linkedin_url,
    PARSE_JSON(r.intent_keywords, wide_number_mode => 'round'), r.provider, r.provider_record_id,
    CAST(r.confidence AS FLOAT64), PARSE_JSON(r.attributes, wide_number_mode => 'round'), :run_id,
    IF(r.remapped_by IS NULL, NULL, CURRENT_TIMESTAMP()))

-- query: upsert_unmatched
-- Files unmatched contacts; what was reviewed stays so while nothing about it has changed.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE unmatched_records u
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.lookup_identifier') AS lookup_identifier,
        JSON_VALUE(value, '$.reason') AS reason
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON u.crm = :crm AND u.object_type = :object_type AND u.crm_id = r.crm_id AND u.provider = :provider
WHEN MATCHED THEN UPDATE SET
    reviewed_at = CASE WHEN u.reason = r.reason
        AND (u.lookup_identifier = r.lookup_identifier OR u.lookup_identifier IS NULL AND r.lookup_identifier IS NULL)
        THEN u.reviewed_at END,
    lookup_identifier = r.lookup_identifier, reason = r.reason, run_id = :run_id, unmatched_at = CURRENT_TIMESTAMP()
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, lookup_identifier, reason, provider, run_id, unmatched_at)
    VALUES (:crm, :object_type, r.crm_id, r.lookup_identifier, r.reason, :provider, :run_id, CURRENT_TIMESTAMP())

-- query: plan_writes
-- Keeps the changes that are about to be sent to the CRM.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE crm_writes w
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.before') AS before, JSON_VALUE(value, '$.after') AS after
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON w.crm = :crm AND w.object_type = :object_type AND w.crm_id = r.crm_id AND w.field = r.field AND w.run_id = :run_id
WHEN MATCHED AND w.written_at IS NULL THEN UPDATE SET before = r.before, after = r.after
WHEN NOT MATCHED THEN INSERT (crm, object_type, crm_id, field, before, after, run_id, is_undo, planned_at)
    VALUES (:crm, :object_type, r.crm_id, r.field, r.before, r.after, :run_id, :is_undo, CURRENT_TIMESTAMP())

-- query: confirm_writes
-- Marks changes that the CRM holds.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET written_at = CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.run_id') AS run_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type AND crm_writes.written_at IS NULL
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: mark_reverted
-- Marks changes as undone.
-- differs because of the clock and how a list is unpacked
UPDATE crm_writes SET reverted_by = r.reverted_by, reverted_at = CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.run_id') AS run_id, :reverted_by AS reverted_by
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type AND crm_writes.reverted_at IS NULL
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.run_id = r.run_id

-- query: unmark_reverted
-- Marks changes as valid again that a run had undone, which is undone now.
-- differs because of how a list is unpacked
UPDATE crm_writes SET reverted_by = NULL, reverted_at = NULL
FROM (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.run_id') AS run_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
WHERE crm_writes.crm = :crm AND crm_writes.object_type = :object_type
    AND crm_writes.crm_id = r.crm_id
    AND crm_writes.field = r.field AND crm_writes.reverted_by = r.run_id

-- query: forget_open_undo
-- Forgets what was announced to be undone in these fields and never confirmed.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND is_undo
    AND CONCAT(field, '/', crm_id) IN (
    SELECT CONCAT(JSON_VALUE(value, '$.field'), '/', JSON_VALUE(value, '$.crm_id'))
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value)

-- query: forget_open_writes
-- Forgets the unconfirmed changes of the claim's finished records.
-- differs because of how a list is unpacked
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND written_at IS NULL AND NOT is_undo
    AND crm_id IN (
    SELECT s.crm_id FROM enrichment_staging s JOIN (
    SELECT JSON_VALUE(value, '$.record_id') AS record_id
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r ON r.record_id = s.record_id WHERE s.claimed_by = :token)

-- query: write_dead_letters
-- Keeps the claim's failed records as dead letters.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO failed_records
    (record_id, crm, object_type, crm_id, email_address, lane, source, step, reason, error, attempts, run_id, failed_at)
SELECT s.record_id, s.crm, s.object_type, s.crm_id, s.email_address, s.lane, s.source, r.step, r.reason, r.detail,
    s.attempts,
    :run_id, CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.step') AS step, JSON_VALUE(value, '$.reason') AS reason,
        JSON_VALUE(value, '$.detail') AS detail, JSON_VALUE(value, '$.record_id') AS record_id,
        JSON_VALUE(value, '$.disposition') AS disposition
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token AND r.disposition = 'failed'
    AND NOT EXISTS (SELECT 1 FROM failed_records f WHERE f.record_id = s.record_id)

-- query: write_refusals
-- Keeps which fields of the claim's finished records were refused, once if it is repeated.
-- differs because of the clock, how a list is unpacked and how rows are merged
INSERT INTO field_refusals (crm, object_type, crm_id, field, reason, value, run_id, refused_at)
SELECT s.crm, s.object_type, s.crm_id, r.field, r.reason, r.refused, :run_id, CURRENT_TIMESTAMP()
FROM (
    SELECT JSON_VALUE(value, '$.record_id') AS record_id, JSON_VALUE(value, '$.field') AS field,
        JSON_VALUE(value, '$.reason') AS reason, JSON_VALUE(value, '$.value') AS refused
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r JOIN enrichment_staging s ON s.record_id = r.record_id
WHERE s.claimed_by = :token
    AND NOT EXISTS (
        SELECT 1 FROM field_refusals f
        WHERE f.crm = s.crm AND f.object_type = s.object_type AND f.crm_id = s.crm_id AND f.field = r.field
            AND f.run_id = :run_id)

-- query: open_plan
-- Opens a plan, unless it is there.
-- differs because of the clock and how rows are merged
MERGE change_plans t USING (SELECT :plan_id AS plan_id) r ON t.plan_id = r.plan_id
WHEN NOT MATCHED THEN INSERT (plan_id, crm, provider, cause, policy, digest, made_at, made_by, state)
    VALUES (:plan_id, :crm, :provider, :cause, :policy, '', CURRENT_TIMESTAMP(), :made_by, 'waiting')

-- query: keep_planned
-- Keeps changes of a plan.
-- differs because of the clock, how a list is unpacked and how rows are merged
MERGE planned_changes t
USING (
    SELECT JSON_VALUE(value, '$.crm_id') AS crm_id, JSON_VALUE(value, '$.record_id') AS record_id,
        JSON_VALUE(value, '$.field') AS field, JSON_VALUE(value, '$.before') AS before,
        JSON_VALUE(value, '$.after') AS after, JSON_VALUE(value, '$.reason') AS reason,
        JSON_VALUE(value, '$.source') AS source
    FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value) r
ON t.plan_id = :plan_id AND t.crm = :crm AND t.object_type = :object_type AND t.crm_id = r.crm_id AND t.field = r.field
WHEN MATCHED THEN UPDATE SET record_id = r.record_id, before = r.before, after = r.after, rule = r.reason,
    source = r.source
WHEN NOT MATCHED THEN INSERT (plan_id, crm, object_type, crm_id, record_id, field, before, after, rule, source,
    planned_at)
    VALUES (:plan_id, :crm, :object_type, r.crm_id, r.record_id, r.field, r.before, r.after, r.reason, r.source,
        CURRENT_TIMESTAMP())
