-- What breaks a promise, once for every engine: each query gives ids (`id`), and of what (`about`). The names are those
-- of the checks in enrichment/promises.py, which says them in words. Times are given by engine: since when the audit
-- looks (`since`), since when a reply may still be used (`usable`), and a day before and after (`yesterday`, `tomorrow`).
-- A run at work changes several tables in turn where an engine has no transactions, so what open runs touch is left out.
-- CROSS JOIN keeps SQLite's planner from reading all replies first.

-- part: broken
-- Reads the first ids that break a promise, and how many there are.
SELECT b.id, b.about, COUNT(*) OVER () AS total FROM (
{rows}) b
ORDER BY b.id, b.about LIMIT 10

-- broken: two_results
SELECT l.record_id AS id, MIN(l.crm_id) AS about FROM record_ledger l
WHERE l.finished_at > {time::since} GROUP BY l.record_id HAVING COUNT(*) > 1

-- broken: queued_and_ended
SELECT s.crm_id AS id, s.crm AS about FROM enrichment_staging s
WHERE EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = s.record_id)

-- broken: queued_twice
SELECT s.crm_id AS id, s.crm AS about FROM enrichment_staging s
GROUP BY s.crm, s.object_type, s.crm_id HAVING COUNT(*) > 1

-- broken: failed_without_result
SELECT f.crm_id AS id, f.step AS about FROM failed_records f
WHERE f.failed_at > {time::since}
    AND NOT EXISTS (SELECT 1 FROM record_ledger l WHERE l.record_id = f.record_id AND l.disposition = 'failed')

-- broken: result_without_failed
SELECT l.crm_id AS id, l.reason AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.disposition = 'failed' AND l.request_key <> 'erased'
    AND NOT EXISTS (SELECT 1 FROM failed_records f WHERE f.record_id = l.record_id)

-- broken: retry_lost
-- A retry is queued under an id of its own, or was queued already.
SELECT f.crm_id AS id, f.step AS about FROM failed_records f
WHERE f.replayed_at > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = f.crm AND s.object_type = f.object_type AND s.crm_id = f.crm_id)
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = f.crm AND l.object_type = f.object_type AND l.crm_id = f.crm_id
            AND l.finished_at >= f.replayed_at)

-- broken: totals_differ
-- A run that was cut short can't say what became of its contacts; those that it had locked are counted by the next run.
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
LEFT JOIN (
    SELECT l.run_id, COUNT(*) AS ended FROM record_ledger l
    JOIN enrichment_runs n ON n.run_id = l.run_id AND n.started_at > {time::since}
    GROUP BY l.run_id) e ON e.run_id = r.run_id
WHERE r.started_at > {time::since}
    AND (r.state IN ('closed', 'cancelled') OR r.state = 'failed' AND r.stop_kind <> 'failed')
    AND r.claimed <> r.returned + COALESCE(e.ended, 0)

-- broken: results_differ
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
LEFT JOIN (
    SELECT l.run_id,
        SUM(CASE WHEN l.disposition = 'invalid' THEN 1 ELSE 0 END) AS invalid,
        SUM(CASE WHEN l.disposition = 'unmatched' THEN 1 ELSE 0 END) AS unmatched,
        SUM(CASE WHEN l.disposition IN ('written', 'unchanged') THEN 1 ELSE 0 END) AS known,
        SUM(CASE WHEN l.disposition = 'failed' THEN 1 ELSE 0 END) AS failed
    FROM record_ledger l
    JOIN enrichment_runs n ON n.run_id = l.run_id AND n.started_at > {time::since}
    GROUP BY l.run_id) e ON e.run_id = r.run_id
WHERE r.started_at > {time::since} AND r.state IN ('closed', 'cancelled')
    AND (r.invalid <> COALESCE(e.invalid, 0) OR r.unmatched <> COALESCE(e.unmatched, 0)
        OR r.known <> COALESCE(e.known, 0)
        OR ABS(r.failure_rate * r.claimed - COALESCE(e.failed, 0)) > 0.001)

-- broken: result_of_no_run
-- An erasure ends a queued contact without a run.
SELECT l.crm_id AS id, l.run_id AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.run_id <> ''
    AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = l.run_id)

-- broken: run_not_closed
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
WHERE r.started_at > {time::since} AND (
    r.state NOT IN ('open', 'closed', 'cancelled', 'failed', 'abandoned') OR r.state <> 'open' AND r.finished_at IS NULL
    OR r.state = 'closed' AND (r.failure_rate IS NULL OR r.credits IS NULL OR r.alert_kind IS NULL))

-- broken: run_forgotten
-- The next run closes what died before it.
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
WHERE r.state = 'open' AND r.seen_at < {time::yesterday}
    AND EXISTS (
        SELECT 1 FROM enrichment_runs n WHERE n.crm = r.crm AND n.started_at > {time::yesterday} AND n.run_id <> r.run_id)

-- broken: reply_twice
SELECT p.request_key AS id, p.provider AS about FROM provider_replies p
WHERE p.received_at > {time::since} GROUP BY p.provider, p.request_key HAVING COUNT(*) > 1

-- broken: paid_twice
SELECT p.request_key AS id, p.provider AS about FROM provider_replies p
WHERE p.received_at > {time::since} AND p.paid_before IS NOT NULL AND p.credits > 0 AND p.outcome <> 'erased'
    AND p.received_at < {valid_until}

-- broken: reply_lost
-- A reply that is too old to be used again may have been renewed.
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
JOIN (
    SELECT u.run_id, SUM(u.replies) AS replies FROM provider_usage u
    WHERE u.outcome IN ('matched', 'partial') GROUP BY u.run_id) u ON u.run_id = r.run_id
LEFT JOIN (
    SELECT p.run_id, COUNT(*) AS replies FROM provider_replies p
    JOIN enrichment_runs n ON n.run_id = p.run_id AND n.started_at > {time::since}
    WHERE p.outcome IN ('matched', 'partial', 'erased') GROUP BY p.run_id) p ON p.run_id = r.run_id
WHERE r.started_at > {time::since} AND r.started_at > {time::usable} AND r.state IN ('closed', 'cancelled')
    AND u.replies > COALESCE(p.replies, 0)

-- broken: reserved_twice
SELECT v.request_key AS id, v.provider AS about FROM lookup_reservations v
WHERE v.provider <> '' GROUP BY v.provider, v.request_key HAVING COUNT(*) > 1

-- broken: reply_of_no_run
SELECT p.request_key AS id, p.run_id AS about FROM provider_replies p
WHERE p.received_at > {time::since} AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = p.run_id)

-- broken: negative_credits
SELECT p.request_key AS id, p.provider AS about FROM provider_replies p WHERE p.received_at > {time::since} AND p.credits < 0
UNION ALL
SELECT v.request_key AS id, v.provider AS about FROM lookup_reservations v WHERE v.credits < 0
UNION ALL
SELECT d.run_id AS id, d.provider AS about FROM doubtful_credits d WHERE d.noted_at > {time::since} AND d.credits < 0

-- broken: price_unclear
SELECT c.provider AS id, c.currency AS about FROM credit_prices c WHERE c.price < 0 OR c.valid_until < c.valid_from
UNION ALL
SELECT c.provider AS id, 'present price' AS about FROM credit_prices c WHERE c.valid_until IS NULL
GROUP BY c.provider HAVING COUNT(*) > 1

-- broken: unconfirmed_write
-- While the contact is in the queue, the next run finds out whether the change arrived. If it ended then without having
-- been read in the CRM, such as failed, unmatched or suppressed, the run that reads it next does.
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} AND w.written_at IS NULL AND NOT w.is_undo
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = w.crm AND s.object_type = w.object_type AND s.crm_id = w.crm_id)
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = w.crm AND l.object_type = w.object_type AND l.crm_id = w.crm_id
            AND l.disposition NOT IN ('written', 'unchanged') AND l.finished_at >= w.planned_at)
    AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = w.run_id AND r.state = 'open')

-- broken: write_of_no_run
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = w.run_id)

-- broken: value_erased
-- An undo clears what was blank before.
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} AND COALESCE(w.after, '') = '' AND NOT w.is_undo

-- broken: nothing_changed
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} AND w.before = w.after AND NOT w.is_undo

-- broken: write_without_result
-- A run that lost its lock confirms what the CRM took; the run that has the lock ends the contact. An undo queues nothing.
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.written_at > {time::since} AND NOT w.is_undo
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = w.crm AND l.object_type = w.object_type AND l.crm_id = w.crm_id
            AND l.finished_at >= w.planned_at)
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = w.crm AND s.object_type = w.object_type AND s.crm_id = w.crm_id)
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = w.crm AND l.object_type = w.object_type AND l.crm_id = w.crm_id
            AND l.disposition IN ('failed', 'suppressed'))
    AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = w.run_id AND r.state = 'open')

-- broken: undo_not_recorded
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.reverted_at > {time::since} AND NOT EXISTS (
    SELECT 1 FROM crm_writes u
    WHERE u.crm = w.crm AND u.object_type = w.object_type AND u.crm_id = w.crm_id AND u.field = w.field
        AND u.run_id = w.reverted_by AND u.is_undo AND u.written_at IS NOT NULL)

-- broken: applied_unapproved
SELECT p.crm_id AS id, p.plan_id AS about FROM planned_changes p
JOIN change_plans c ON c.plan_id = p.plan_id
JOIN crm_writes w ON w.crm = p.crm AND w.object_type = p.object_type AND w.crm_id = p.crm_id AND w.field = p.field
    AND w.run_id = p.taken_by
WHERE p.planned_at > {time::since} AND c.state <> 'approved'

-- broken: decision_unsigned
SELECT c.plan_id AS id, c.state AS about FROM change_plans c
WHERE c.made_at > {time::since} AND (
    c.state NOT IN ('waiting', 'approved', 'declined')
    OR c.state <> 'waiting' AND (c.decided_at IS NULL OR COALESCE(c.decided_by, '') = ''))

-- broken: written_without_write
SELECT l.crm_id AS id, l.run_id AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.disposition = 'written' AND l.request_key <> 'erased'
    AND NOT EXISTS (
        SELECT 1 FROM crm_writes w
        WHERE w.crm = l.crm AND w.object_type = l.object_type AND w.crm_id = l.crm_id
            AND w.written_at >= l.staged_at)
    AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = l.run_id AND r.state = 'open')

-- broken: write_confirmed_early
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} AND (w.written_at < w.planned_at OR w.reverted_at < w.written_at)

-- broken: failure_unexplained
SELECT f.crm_id AS id, f.record_id AS about FROM failed_records f
WHERE f.failed_at > {time::since} AND (f.step = '' OR f.reason = '' OR f.error = '' OR f.attempts < 1)

-- broken: result_unexplained
SELECT l.crm_id AS id, l.disposition AS about FROM record_ledger l
WHERE l.finished_at > {time::since}
    AND l.disposition IN ('failed', 'unmatched', 'invalid', 'suppressed') AND COALESCE(l.reason, '') = ''

-- broken: result_unknown
SELECT l.crm_id AS id, l.disposition AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.disposition NOT IN
    ('written', 'unchanged', 'unmatched', 'suppressed', 'invalid', 'skipped_fresh', 'failed')

-- broken: refusal_unexplained
SELECT f.crm_id AS id, f.field AS about FROM field_refusals f
WHERE f.refused_at > {time::since} AND (f.reason = '' OR f.field = '')

-- broken: refusal_without_result
SELECT f.crm_id AS id, f.field AS about FROM field_refusals f
WHERE f.refused_at > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = f.crm AND l.object_type = f.object_type AND l.crm_id = f.crm_id AND l.run_id = f.run_id)
    AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = f.run_id AND r.state = 'open')

-- broken: unmatched_unexplained
SELECT u.crm_id AS id, u.provider AS about FROM unmatched_records u
WHERE u.unmatched_at > {time::since} AND (u.reason = '' OR u.provider = '')

-- broken: unmatched_without_result
SELECT u.crm_id AS id, u.provider AS about FROM unmatched_records u
WHERE u.unmatched_at > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = u.crm AND l.object_type = u.object_type AND l.crm_id = u.crm_id
            AND l.finished_at >= u.unmatched_at)
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = u.crm AND s.object_type = u.object_type AND s.crm_id = u.crm_id)

-- broken: result_without_unmatched
-- The cleanup deletes what was reviewed long ago, also if the contact was unmatched again since.
SELECT l.crm_id AS id, l.reason AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.disposition = 'unmatched' AND l.request_key <> 'erased'
    AND NOT EXISTS (
        SELECT 1 FROM unmatched_records u
        WHERE u.crm = l.crm AND u.object_type = l.object_type AND u.crm_id = l.crm_id)

-- broken: lock_of_closed_run
SELECT s.crm_id AS id, s.claim_run_id AS about FROM enrichment_staging s
JOIN enrichment_runs r ON r.run_id = s.claim_run_id
WHERE s.claimed_by IS NOT NULL AND r.state IN ('closed', 'cancelled')

-- broken: reservation_of_closed_run
SELECT v.request_key AS id, v.run_id AS about FROM lookup_reservations v
JOIN enrichment_runs r ON r.run_id = v.run_id
WHERE v.provider <> '' AND r.state IN ('closed', 'cancelled')

-- broken: lock_without_end
SELECT s.crm_id AS id, s.state AS about FROM enrichment_staging s
WHERE s.claimed_by IS NOT NULL AND (s.claim_expires_at IS NULL OR s.claim_expires_at > {time::tomorrow})
UNION ALL
SELECT v.request_key AS id, v.provider AS about FROM lookup_reservations v
WHERE v.provider <> '' AND v.reserved_until > {time::tomorrow}

-- broken: state_unlike_lock
SELECT s.crm_id AS id, s.state AS about FROM enrichment_staging s
WHERE s.state = 'claimed' AND s.claimed_by IS NULL
    OR s.state = 'waiting' AND s.claimed_by IS NOT NULL
    OR s.claimed_by IS NULL AND (s.claim_run_id IS NOT NULL OR s.claim_expires_at IS NOT NULL)
    OR s.state NOT IN ('waiting', 'claimed', 'enriched') OR s.lane NOT IN ('live', 'backfill') OR s.attempts < 0

-- broken: stored_without_result
SELECT s.crm_id AS id, s.state AS about FROM enrichment_staging s
WHERE s.state = 'enriched' AND s.processed_at IS NULL

-- broken: lock_of_no_run
SELECT s.crm_id AS id, s.claim_run_id AS about FROM enrichment_staging s
WHERE s.claim_run_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM enrichment_runs r WHERE r.run_id = s.claim_run_id)

-- broken: credits_not_booked
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
LEFT JOIN (
    SELECT u.run_id, SUM(u.credits) AS credits FROM provider_usage u GROUP BY u.run_id) u ON u.run_id = r.run_id
WHERE r.started_at > {time::since} AND r.state IN ('closed', 'cancelled') AND ABS(r.credits - COALESCE(u.credits, 0)) > 0.001

-- broken: usage_unlike_replies
-- A reply that was renewed later counts for the later run, so a run may have fewer replies than it had.
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
LEFT JOIN (
    SELECT u.run_id, SUM(u.replies) AS replies, SUM(u.credits) AS credits FROM provider_usage u
    GROUP BY u.run_id) u ON u.run_id = r.run_id
LEFT JOIN (
    SELECT p.run_id, COUNT(*) AS replies, SUM(p.credits) AS credits FROM provider_replies p
    JOIN enrichment_runs n ON n.run_id = p.run_id AND n.started_at > {time::since}
    GROUP BY p.run_id) p ON p.run_id = r.run_id
WHERE r.started_at > {time::since} AND r.state IN ('closed', 'cancelled')
    AND (COALESCE(p.replies, 0) > COALESCE(u.replies, 0)
        OR COALESCE(p.replies, 0) = COALESCE(u.replies, 0)
            AND ABS(COALESCE(p.credits, 0) - COALESCE(u.credits, 0)) > 0.001
        OR COALESCE(p.credits, 0) > COALESCE(u.credits, 0) + 0.001)

-- broken: result_twice
SELECT c.crm_id AS id, c.crm AS about FROM enriched_contacts c
GROUP BY c.crm, c.object_type, c.crm_id HAVING COUNT(*) > 1

-- broken: history_twice
-- An answer that was remapped is there once more for each run that did so; one call may have answered about two people
-- who both were the contact.
SELECT h.crm_id AS id, h.provider AS about FROM enrichment_history h
WHERE h.enrichment_timestamp > {time::since}
GROUP BY h.crm, h.object_type, h.crm_id, h.provider, h.enrichment_timestamp, h.provider_record_id,
    CASE WHEN h.remapped_at IS NULL THEN '' ELSE h.run_id END HAVING COUNT(*) > 1

-- broken: result_not_in_history
SELECT c.crm_id AS id, c.provider AS about FROM enriched_contacts c
WHERE c.enrichment_timestamp > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_history h
        WHERE h.crm = c.crm AND h.object_type = c.object_type AND h.crm_id = c.crm_id AND h.provider = c.provider
            AND h.enrichment_timestamp = c.enrichment_timestamp)

-- broken: newer_in_history
SELECT h.crm_id AS id, h.provider AS about FROM enrichment_history h
WHERE h.enrichment_timestamp > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM enriched_contacts c
        WHERE c.crm = h.crm AND c.object_type = h.object_type AND c.crm_id = h.crm_id
            AND c.enrichment_timestamp >= h.enrichment_timestamp)

-- broken: result_unlike_history
-- A saved reply that a later run reads in another way isn't a result of its own in the history.
SELECT c.crm_id AS id, c.provider AS about FROM enriched_contacts c
JOIN enrichment_history h ON h.crm = c.crm AND h.object_type = c.object_type AND h.crm_id = c.crm_id
    AND h.provider = c.provider AND h.enrichment_timestamp = c.enrichment_timestamp
    AND h.run_id = c.run_id
WHERE c.enrichment_timestamp > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_history o
        WHERE o.crm = c.crm AND o.object_type = c.object_type AND o.crm_id = c.crm_id AND o.provider = c.provider
            AND o.enrichment_timestamp = c.enrichment_timestamp AND o.provider_record_id = c.provider_record_id
            AND o.provider_record_id <> COALESCE(h.provider_record_id, ''))
    AND (COALESCE(c.company_name, '') <> COALESCE(h.company_name, '')
        OR COALESCE(c.employee_count, -1) <> COALESCE(h.employee_count, -1)
        OR COALESCE(c.industry, '') <> COALESCE(h.industry, '')
        OR COALESCE(c.linkedin_url, '') <> COALESCE(h.linkedin_url, '')
        OR COALESCE(c.provider_record_id, '') <> COALESCE(h.provider_record_id, ''))

-- broken: value_out_of_range
SELECT c.crm_id AS id, c.provider AS about FROM enriched_contacts c
WHERE c.enrichment_timestamp > {time::since}
    AND (c.employee_count < 0 OR c.confidence < 0 OR c.confidence > 100 OR c.provider = ''
        OR SUBSTR(c.linkedin_url, 1, 8) <> 'https://')

-- broken: result_of_the_future
SELECT c.crm_id AS id, c.provider AS about FROM enriched_contacts c WHERE c.enrichment_timestamp > {time::tomorrow}
UNION ALL
SELECT l.crm_id AS id, l.disposition AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND (l.finished_at < l.staged_at OR l.finished_at > {time::tomorrow})
UNION ALL
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
WHERE r.started_at > {time::since} AND (r.finished_at < r.started_at OR r.started_at > {time::tomorrow})

-- broken: stored_without_end
SELECT c.crm_id AS id, c.run_id AS about FROM enriched_contacts c
JOIN enrichment_runs r ON r.run_id = c.run_id AND r.started_at > {time::since} AND r.state <> 'open'
WHERE NOT EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = c.crm AND l.object_type = c.object_type AND l.crm_id = c.crm_id
            AND l.finished_at >= r.started_at)
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_staging s
        WHERE s.crm = c.crm AND s.object_type = c.object_type AND s.crm_id = c.crm_id)

-- broken: stored_without_request
SELECT c.crm_id AS id, c.provider AS about FROM enriched_contacts c
WHERE c.enrichment_timestamp > {time::since}
    AND NOT EXISTS (
        SELECT 1 FROM contact_requests q
        WHERE q.crm = c.crm AND q.object_type = c.object_type AND q.crm_id = c.crm_id)

-- broken: erased_reply_kept
SELECT p.request_key AS id, p.provider AS about FROM suppressed_contacts x
CROSS JOIN (SELECT DISTINCT provider FROM provider_usage) u
CROSS JOIN provider_replies p
WHERE x.reason = 'erased' AND p.provider = u.provider AND p.request_key = x.key_hash
    AND (p.outcome <> 'erased' OR p.reply IS NOT NULL OR p.request_id IS NOT NULL)

-- broken: erased_contact_kept
-- A contact is erased as long as it has neither been queued nor has ended since.
WITH erased AS (
    SELECT DISTINCT l.crm, l.object_type, l.crm_id FROM record_ledger l
    WHERE l.finished_at > {time::since} AND l.request_key = 'erased'
        AND NOT EXISTS (
            SELECT 1 FROM record_ledger n
            WHERE n.crm = l.crm AND n.object_type = l.object_type AND n.crm_id = l.crm_id
                AND n.request_key <> 'erased')
        AND NOT EXISTS (
            SELECT 1 FROM enrichment_staging s
            WHERE s.crm = l.crm AND s.object_type = l.object_type AND s.crm_id = l.crm_id))
SELECT c.crm_id AS id, 'enriched_contacts' AS about FROM erased e
JOIN enriched_contacts c ON c.crm = e.crm AND c.object_type = e.object_type AND c.crm_id = e.crm_id
UNION ALL
SELECT h.crm_id AS id, 'enrichment_history' AS about FROM erased e
JOIN enrichment_history h ON h.crm = e.crm AND h.object_type = e.object_type AND h.crm_id = e.crm_id
UNION ALL
SELECT u.crm_id AS id, 'unmatched_records' AS about FROM erased e
JOIN unmatched_records u ON u.crm = e.crm AND u.object_type = e.object_type AND u.crm_id = e.crm_id
UNION ALL
SELECT w.crm_id AS id, 'crm_writes' AS about FROM erased e
JOIN crm_writes w ON w.crm = e.crm AND w.object_type = e.object_type AND w.crm_id = e.crm_id
UNION ALL
SELECT f.crm_id AS id, 'field_refusals' AS about FROM erased e
JOIN field_refusals f ON f.crm = e.crm AND f.object_type = e.object_type AND f.crm_id = e.crm_id
UNION ALL
SELECT d.crm_id AS id, 'failed_records' AS about FROM erased e
JOIN failed_records d ON d.crm = e.crm AND d.object_type = e.object_type AND d.crm_id = e.crm_id
UNION ALL
SELECT q.crm_id AS id, 'contact_requests' AS about FROM erased e
JOIN contact_requests q ON q.crm = e.crm AND q.object_type = e.object_type AND q.crm_id = e.crm_id
UNION ALL
SELECT p.crm_id AS id, 'planned_changes' AS about FROM erased e
JOIN planned_changes p ON p.crm = e.crm AND p.object_type = e.object_type AND p.crm_id = e.crm_id
UNION ALL
SELECT l.crm_id AS id, 'record_ledger' AS about FROM record_ledger l
WHERE l.finished_at > {time::since} AND l.request_key = 'erased' AND l.email_domain IS NOT NULL

-- broken: suppressed_looked_up
-- A run that was at work when the contact was suppressed may have had its request under way.
SELECT q.crm_id AS id, p.provider AS about FROM contact_requests q
CROSS JOIN suppressed_contacts x
CROSS JOIN provider_replies p
CROSS JOIN enrichment_runs r
WHERE x.key_hash = q.email_key AND p.provider = q.provider AND p.request_key = q.request_key
    AND r.run_id = p.run_id AND r.started_at > x.suppressed_at AND r.started_at > {time::since} AND p.outcome <> 'erased'

-- broken: suppressed_stored
-- Of what a contact was asked for, only the request counts on which the result rests: it may be another person by now.
SELECT c.crm_id AS id, c.provider AS about FROM contact_requests q
CROSS JOIN suppressed_contacts x
CROSS JOIN enriched_contacts c
CROSS JOIN enrichment_runs r
WHERE x.key_hash = q.email_key AND c.crm = q.crm AND c.object_type = q.object_type AND c.crm_id = q.crm_id
    AND r.run_id = c.run_id AND r.started_at > x.suppressed_at AND r.started_at > {time::since}
    AND EXISTS (
        SELECT 1 FROM record_ledger l
        WHERE l.crm = c.crm AND l.object_type = c.object_type AND l.crm_id = c.crm_id AND l.run_id = c.run_id
            AND l.request_key = q.request_key)

-- broken: suppressed_by_no_one
SELECT x.key_hash AS id, x.reason AS about FROM suppressed_contacts x
LEFT JOIN (SELECT DISTINCT c.key_hash FROM suppression_changes c WHERE c.action <> 'allowed') c
ON c.key_hash = x.suppressed_for
WHERE x.reason = '' OR c.key_hash IS NULL

-- broken: alert_not_due
SELECT r.run_id AS id, r.alert_kind AS about FROM enrichment_runs r
WHERE r.started_at > {time::since} AND r.state = 'closed' AND (
    r.failure_rate <= :threshold AND r.alert_kind = 'failure_rate'
    OR r.failure_rate = 0 AND r.alert_kind = 'failed_contacts'
    OR r.alert_kind IN ('credentials_rejected', 'request_refused', 'quota_exhausted', 'failed', 'crashed'))

-- broken: alert_missing
-- An undo looks nothing up, and says at the terminal why it failed.
SELECT r.run_id AS id, r.flow_run_name AS about FROM enrichment_runs r
WHERE r.started_at > {time::since} AND (
    r.state = 'failed' AND r.alert_kind = '' AND r.provider <> ''
    OR r.state = 'closed' AND r.failure_rate > 0 AND r.alert_kind NOT IN ('failure_rate', 'failed_contacts')
    OR r.state = 'closed' AND r.failure_rate > :threshold AND r.alert_kind <> 'failure_rate')

-- broken: alert_not_sent
-- The next run sends what no notifier took.
SELECT r.run_id AS id, r.alert_kind AS about FROM enrichment_runs r
WHERE :notifiers <> '' AND r.finished_at > {time::since} AND r.alert_kind <> '' AND NOT r.alert_sent
    AND NOT EXISTS (
        SELECT 1 FROM enrichment_runs n
        WHERE n.provider = r.provider AND n.crm = r.crm AND n.started_at > r.started_at
            AND n.state IN ('closed', 'failed') AND (n.alert_kind = '' OR n.alert_sent))

-- broken: place_lost
SELECT e.name AS id, e.cursor AS about FROM event_cursors e WHERE e.cursor = ''
UNION ALL
SELECT l.lane AS id, 'paused_lanes' AS about FROM paused_lanes l WHERE l.lane NOT IN ('live', 'backfill')
UNION ALL
SELECT e.name AS id, 'event_cursors' AS about FROM event_cursors e GROUP BY e.name HAVING COUNT(*) > 1

-- broken: run_twice
SELECT r.run_id AS id, 'enrichment_runs' AS about FROM enrichment_runs r GROUP BY r.run_id HAVING COUNT(*) > 1
UNION ALL
SELECT u.run_id AS id, u.provider AS about FROM provider_usage u
GROUP BY u.run_id, u.provider, u.outcome, u.api_version HAVING COUNT(*) > 1

-- broken: write_twice
SELECT w.crm_id AS id, w.field AS about FROM crm_writes w
WHERE w.planned_at > {time::since} GROUP BY w.crm, w.object_type, w.crm_id, w.field, w.run_id HAVING COUNT(*) > 1

-- broken: failed_twice
SELECT f.record_id AS id, MIN(f.crm_id) AS about FROM failed_records f GROUP BY f.record_id HAVING COUNT(*) > 1

-- broken: unmatched_twice
SELECT u.crm_id AS id, u.provider AS about FROM unmatched_records u
GROUP BY u.crm, u.object_type, u.crm_id, u.provider HAVING COUNT(*) > 1

-- query: audit_fields
-- Counts by field what was written to a CRM since a moment, and what took the place of another value.
SELECT w.field, COUNT(*) AS writes, COUNT(NULLIF(TRIM(w.before), '')) AS replaced, MIN(w.crm_id) AS example,
    MIN(CASE WHEN TRIM(w.before) <> '' THEN w.crm_id END) AS replaced_example
FROM crm_writes w WHERE w.crm = :crm AND w.object_type = :object_type AND w.planned_at > {time::since}
    AND NOT w.is_undo
GROUP BY w.field

-- query: audit_writes
-- Reads the last confirmed change of each field of the contacts that were written to last.
SELECT w.crm_id, w.field, w.after, w.planned_at FROM (
    SELECT a.crm_id, a.field, a.after, a.planned_at, a.reverted_at,
        ROW_NUMBER() OVER (PARTITION BY a.crm_id, a.field ORDER BY a.written_at DESC) AS place
    FROM crm_writes a
    JOIN (
        SELECT crm_id FROM crm_writes
        WHERE crm = :crm AND object_type = :object_type AND written_at > {time::since}
        GROUP BY crm_id ORDER BY MAX(written_at) DESC LIMIT :limit) c ON c.crm_id = a.crm_id
    WHERE a.crm = :crm AND a.object_type = :object_type AND a.written_at IS NOT NULL) w
WHERE w.place = 1 AND w.reverted_at IS NULL AND w.after IS NOT NULL
ORDER BY w.crm_id, w.field

-- query: audit_credits
-- Sums what the replies of each provider have cost since a moment, and what lost ones may have.
SELECT b.provider, SUM(b.booked) AS booked, SUM(b.doubtful) AS doubtful FROM (
    SELECT p.provider, p.credits AS booked, 0.0 AS doubtful FROM provider_replies p WHERE p.received_at > {time::since}
    UNION ALL
    SELECT d.provider, 0.0 AS booked, d.credits AS doubtful FROM doubtful_credits d WHERE d.noted_at > {time::since}) b
GROUP BY b.provider ORDER BY b.provider
