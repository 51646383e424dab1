-- What grows, and which of it is old.

-- part: count_old
-- Counts the rows of a table that the cleanup deletes. Which those are is said below, by table and key, once for
-- counting and for deleting; each engine says how it counts back the days.
SELECT COUNT(*) AS records FROM {table}
WHERE {old}

-- old: provider_replies (provider, request_key)
received_at < {ago::days}
    AND request_key NOT IN (SELECT s.request_key FROM enrichment_staging s WHERE s.request_key IS NOT NULL)

-- old: enrichment_history (crm, object_type, crm_id, provider, enrichment_timestamp)
enrichment_timestamp < {ago::days}

-- old: crm_writes (crm, object_type, crm_id, field, run_id)
-- The last confirmed write of each field stays, which tells our value from a person's; so do open ones.
written_at < {ago::days} AND EXISTS (
    SELECT 1 FROM crm_writes w
    WHERE w.crm = crm_writes.crm AND w.object_type = crm_writes.object_type AND w.crm_id = crm_writes.crm_id
        AND w.field = crm_writes.field AND w.written_at > crm_writes.written_at)

-- old: planned_changes (plan_id, crm, object_type, crm_id, field)
planned_at < {ago::days}

-- old: change_plans (plan_id)
made_at < {ago::days}

-- old: record_ledger (record_id)
-- The last row of each contact stays, by which an intake knows that the contact was queued before.
finished_at < {ago::days} AND EXISTS (
    SELECT 1 FROM record_ledger l
    WHERE l.crm = record_ledger.crm AND l.object_type = record_ledger.object_type AND l.crm_id = record_ledger.crm_id
        AND l.finished_at > record_ledger.finished_at)

-- old: field_refusals (crm, object_type, crm_id, field, run_id, refused_at)
refused_at < {ago::days}

-- old: unmatched_records (crm, object_type, crm_id, provider)
-- What no person has reviewed stays.
reviewed_at < {ago::days}

-- old: failed_records (record_id)
-- What was not put back into the queue stays.
replayed_at < {ago::days}

-- old: enrichment_runs (run_id)
-- A run stays while a queued contact or a dead letter that waits names it.
finished_at < {ago::days} AND state <> 'open'
    AND run_id NOT IN (SELECT s.claim_run_id FROM enrichment_staging s WHERE s.claim_run_id IS NOT NULL)
    AND run_id NOT IN (SELECT f.run_id FROM failed_records f WHERE f.replayed_at IS NULL)

-- old: provider_usage (run_id, provider, outcome, api_version)
last_reply_at < {ago::days}

-- old: doubtful_credits (provider, run_id, noted_at)
noted_at < {ago::days}

-- old: lookup_reservations (provider, request_key)
-- The row without a provider stays: reservations wait for each other there.
provider <> '' AND reserved_until < {ago::days}

-- old: event_cursors (name)
-- Listeners and intakes begin at theirs, however old; a backfill begins again.
updated_at < {ago::days} AND SUBSTR(name, 1, 9) = 'backfill:'
