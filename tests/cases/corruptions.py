"""What the audit must find: rows that are changed, lost or doubled, as SQLite and PostgreSQL both take it."""


def without_keys(table: str) -> list[str]:
    """Return statements that take a table's keys and constraints away, as engines have it that enforce none."""
    return [f"ALTER TABLE {table} RENAME TO old", f"CREATE TABLE {table} AS SELECT * FROM old"]


def twice(table: str, where: str = "1 = 1") -> list[str]:
    return [*without_keys(table), f"INSERT INTO {table} SELECT * FROM old WHERE {where}"]


def reserve(provider: str, run_id: str, until: str) -> str:
    return (
        "INSERT INTO lookup_reservations (provider, request_key, reserved_by, reserved_until, run_id, credits) "
        f"VALUES ('{provider}', 'key', 'token', {until}, {run_id}, 1)"
    )


def lock(run_id: str, until: str) -> str:
    return (
        "UPDATE enrichment_staging SET state = 'claimed', claimed_by = 'token', "
        f"claim_run_id = {run_id}, claim_expires_at = {until}"
    )


LONG_AGO, FAR_AWAY = "'2001-01-01T00:00:00.000Z'", "'2101-01-01T00:00:00.000Z'"
WRITTEN = "(SELECT MAX(crm_id) FROM record_ledger WHERE disposition = 'written')"
RUN = f"(SELECT MAX(run_id) FROM record_ledger WHERE crm_id = {WRITTEN})"
ERASED = "(SELECT MAX(crm_id) FROM record_ledger WHERE request_key = 'erased')"
PRICE = "INSERT INTO credit_prices (provider, price, currency, valid_from) VALUES ('x', {}, 'EUR', {})"
PLAN = (
    "INSERT INTO change_plans (plan_id, crm, provider, cause, policy, digest, made_at, made_by, state) "
    "VALUES ('plan', 'hubspot', 'zoominfo', 'asked', '', '', '2100-01-01T00:00:00.000Z', 'ada', '{}')"
)
PLANNED = (
    "INSERT INTO planned_changes (plan_id, crm, object_type, crm_id, record_id, field, after, rule, source, "
    "planned_at, taken_by) VALUES ('plan', 'hubspot', 'contact', {}, 'r', 'city', 'Rome', 'always', 'city', "
    "'2100-01-01T00:00:00.000Z', 'run')"
)
APPLIED = (
    "INSERT INTO planned_changes (plan_id, crm, object_type, crm_id, record_id, field, after, rule, source, "
    "planned_at, taken_by) SELECT 'plan', crm, object_type, crm_id, 'r', field, after, 'always', 'city', "
    "'2100-01-01T00:00:00.000Z', run_id FROM crm_writes WHERE field = 'city'"
)
SUPPRESSED = (
    "INSERT INTO suppressed_contacts (key_hash, suppressed_for, reason, suppressed_at) SELECT email_key, "
    f"email_key, 'opted out', {LONG_AGO} FROM contact_requests WHERE crm_id = {WRITTEN}"
)

#: What a person or something does to the tables: the check that must find it, and the statements.
CORRUPTIONS: list[tuple[str, list[str]]] = [
    ("two_results", twice("record_ledger")),
    (
        "queued_and_ended",
        [
            "DELETE FROM enrichment_staging WHERE record_id > (SELECT MIN(record_id) FROM enrichment_staging)",
            "UPDATE enrichment_staging SET record_id = (SELECT MIN(record_id) FROM record_ledger)",
        ],
    ),
    ("queued_twice", twice("enrichment_staging")),
    ("failed_without_result", ["DELETE FROM record_ledger WHERE disposition = 'failed'"]),
    ("failed_without_result", ["UPDATE record_ledger SET disposition = 'written' WHERE disposition = 'failed'"]),
    ("result_without_failed", ["DELETE FROM failed_records"]),
    ("failed_twice", twice("failed_records")),
    (
        "retry_lost",
        [
            "DELETE FROM record_ledger WHERE disposition <> 'failed' AND crm_id IN (SELECT crm_id FROM failed_records)",
            f"UPDATE failed_records SET replayed_at = {FAR_AWAY}",
        ],
    ),
    ("stored_without_end", [f"DELETE FROM record_ledger WHERE crm_id = {WRITTEN}"]),
    ("result_unknown", [*without_keys("record_ledger"), "UPDATE record_ledger SET disposition = 'done'"]),
    ("place_lost", [f"INSERT INTO event_cursors (name, cursor, updated_at) VALUES ('intake', '', {LONG_AGO})"]),
    ("place_lost", [f"INSERT INTO paused_lanes (lane, paused_at) VALUES ('lives', {LONG_AGO})"]),
    ("totals_differ", [f"DELETE FROM record_ledger WHERE run_id = {RUN}"]),
    ("totals_differ", ["UPDATE enrichment_runs SET claimed = claimed + 1 WHERE state = 'closed'"]),
    ("totals_differ", ["UPDATE enrichment_runs SET returned = 0 WHERE returned > 0"]),
    ("totals_differ", [f"UPDATE record_ledger SET run_id = 'dead' WHERE run_id = {RUN}"]),
    ("results_differ", ["UPDATE record_ledger SET disposition = 'unmatched' WHERE disposition = 'written'"]),
    ("results_differ", ["UPDATE enrichment_runs SET failure_rate = 0 WHERE failure_rate > 0"]),
    ("results_differ", ["UPDATE enrichment_runs SET invalid = invalid + 1 WHERE state = 'closed'"]),
    ("result_of_no_run", [f"DELETE FROM enrichment_runs WHERE run_id = {RUN}"]),
    ("run_not_closed", ["UPDATE enrichment_runs SET finished_at = NULL WHERE state = 'closed'"]),
    ("run_not_closed", ["UPDATE enrichment_runs SET credits = NULL WHERE state = 'closed'"]),
    ("run_not_closed", [*without_keys("enrichment_runs"), "UPDATE enrichment_runs SET state = 'done'"]),
    ("run_forgotten", [f"UPDATE enrichment_runs SET state = 'open', seen_at = {LONG_AGO} WHERE run_id = 'dead'"]),
    ("run_twice", twice("enrichment_runs")),
    ("run_twice", twice("provider_usage")),
    ("reply_twice", twice("provider_replies")),
    ("paid_twice", ["UPDATE provider_replies SET paid_before = received_at WHERE credits > 0"]),
    ("reply_lost", ["DELETE FROM provider_replies WHERE outcome = 'matched'"]),
    ("reply_lost", ["UPDATE provider_replies SET run_id = 'dead' WHERE outcome = 'matched'"]),
    ("reserved_twice", [reserve("zoominfo", "'dead'", LONG_AGO), *twice("lookup_reservations")]),
    ("reservation_of_closed_run", [reserve("zoominfo", RUN, LONG_AGO)]),
    ("credits_not_booked", ["UPDATE enrichment_runs SET credits = credits + 1 WHERE state = 'closed'"]),
    ("credits_not_booked", ["DELETE FROM provider_usage"]),
    ("usage_unlike_replies", ["UPDATE provider_replies SET credits = credits + 1 WHERE credits > 0"]),
    ("usage_unlike_replies", [f"UPDATE provider_replies SET run_id = {RUN}"]),
    ("reply_of_no_run", ["UPDATE provider_replies SET run_id = 'nobody'"]),
    ("negative_credits", ["UPDATE provider_replies SET credits = -1"]),
    (
        "negative_credits",
        ["INSERT INTO doubtful_credits SELECT 'zoominfo', run_id, -1, started_at FROM enrichment_runs"],
    ),
    ("price_unclear", [PRICE.format(1, LONG_AGO), PRICE.format(2, FAR_AWAY)]),
    ("price_unclear", [PRICE.format(-1, LONG_AGO)]),
    ("applied_unapproved", [PLAN.format("waiting"), APPLIED]),
    ("decision_unsigned", [PLAN.format("approved")]),
    ("erased_contact_kept", [PLANNED.format(ERASED)]),
    ("value_erased", ["UPDATE crm_writes SET after = NULL WHERE field = 'city'"]),
    ("nothing_changed", ["UPDATE crm_writes SET before = after WHERE field = 'city'"]),
    ("write_of_no_run", ["UPDATE crm_writes SET run_id = 'nobody'"]),
    ("write_twice", twice("crm_writes")),
    ("unconfirmed_write", ["UPDATE crm_writes SET written_at = NULL WHERE field = 'city'"]),
    (
        "undo_not_recorded",
        ["UPDATE crm_writes SET reverted_at = written_at, reverted_by = run_id WHERE field = 'city'"],
    ),
    ("write_without_result", [f"DELETE FROM record_ledger WHERE crm_id = {WRITTEN}"]),
    ("written_without_write", [f"DELETE FROM crm_writes WHERE crm_id = {WRITTEN}"]),
    ("written_without_write", ["UPDATE record_ledger SET disposition = 'written' WHERE disposition = 'invalid'"]),
    ("write_confirmed_early", [f"UPDATE crm_writes SET written_at = {LONG_AGO}"]),
    ("write_confirmed_early", [f"UPDATE crm_writes SET reverted_at = {LONG_AGO}"]),
    ("failure_unexplained", ["UPDATE failed_records SET error = ''"]),
    ("failure_unexplained", ["UPDATE failed_records SET attempts = 0"]),
    ("result_unexplained", ["UPDATE record_ledger SET reason = '' WHERE disposition = 'unmatched'"]),
    ("refusal_unexplained", ["UPDATE field_refusals SET reason = ''"]),
    ("refusal_without_result", ["UPDATE field_refusals SET run_id = 'dead'"]),
    ("unmatched_unexplained", ["UPDATE unmatched_records SET reason = ''"]),
    ("unmatched_without_result", ["DELETE FROM record_ledger WHERE disposition = 'unmatched'"]),
    ("result_without_unmatched", ["DELETE FROM unmatched_records"]),
    ("unmatched_twice", twice("unmatched_records")),
    ("lock_of_closed_run", [lock(RUN, FAR_AWAY)]),
    ("lock_of_no_run", [lock("'nobody'", LONG_AGO)]),
    ("lock_without_end", [lock("'dead'", FAR_AWAY)]),
    ("lock_without_end", [lock("'dead'", "NULL")]),
    ("lock_without_end", [reserve("zoominfo", "'dead'", FAR_AWAY)]),
    ("state_unlike_lock", ["UPDATE enrichment_staging SET claim_run_id = 'dead'"]),
    ("state_unlike_lock", ["UPDATE enrichment_staging SET claimed_by = 'dead', claim_expires_at = staged_at"]),
    ("state_unlike_lock", [*without_keys("enrichment_staging"), "UPDATE enrichment_staging SET lane = 'lives'"]),
    ("stored_without_result", ["UPDATE enrichment_staging SET state = 'enriched'"]),
    ("result_twice", twice("enriched_contacts")),
    ("history_twice", twice("enrichment_history")),
    ("result_not_in_history", ["DELETE FROM enrichment_history"]),
    ("result_not_in_history", ["UPDATE enriched_contacts SET provider = 'clearbit'"]),
    ("newer_in_history", ["DELETE FROM enriched_contacts"]),
    ("newer_in_history", [f"UPDATE enriched_contacts SET enrichment_timestamp = {LONG_AGO}"]),
    ("result_unlike_history", ["UPDATE enriched_contacts SET company_name = 'Acme'"]),
    ("result_unlike_history", ["UPDATE enriched_contacts SET employee_count = NULL"]),
    ("value_out_of_range", ["UPDATE enriched_contacts SET employee_count = -5"]),
    ("value_out_of_range", ["UPDATE enriched_contacts SET linkedin_url = 'javascript:alert(1)'"]),
    ("stored_without_request", ["DELETE FROM contact_requests"]),
    ("result_of_the_future", [f"UPDATE enriched_contacts SET enrichment_timestamp = {FAR_AWAY}"]),
    ("result_of_the_future", [f"UPDATE record_ledger SET staged_at = {FAR_AWAY}"]),
    ("result_of_the_future", [f"UPDATE enrichment_runs SET finished_at = {LONG_AGO} WHERE state = 'closed'"]),
    ("erased_reply_kept", ["UPDATE provider_replies SET reply = '{}' WHERE outcome = 'erased'"]),
    ("erased_reply_kept", ["UPDATE provider_replies SET outcome = 'matched'"]),
    ("erased_contact_kept", [f"UPDATE enriched_contacts SET crm_id = {ERASED} WHERE crm_id = {WRITTEN}"]),
    ("erased_contact_kept", [f"UPDATE unmatched_records SET crm_id = {ERASED}"]),
    ("erased_contact_kept", ["UPDATE record_ledger SET email_domain = 'acme.example'"]),
    ("suppressed_looked_up", [SUPPRESSED]),
    ("suppressed_stored", [SUPPRESSED]),
    ("suppressed_by_no_one", ["DELETE FROM suppression_changes"]),
    ("suppressed_by_no_one", ["UPDATE suppressed_contacts SET reason = ''"]),
    ("alert_missing", ["UPDATE enrichment_runs SET alert_kind = '' WHERE state = 'failed'"]),
    ("alert_missing", ["UPDATE enrichment_runs SET alert_kind = '' WHERE failure_rate > 0"]),
    ("alert_missing", ["UPDATE enrichment_runs SET alert_kind = 'failed_contacts' WHERE failure_rate > 0"]),
    ("alert_not_due", ["UPDATE enrichment_runs SET alert_kind = 'failure_rate' WHERE state = 'closed'"]),
    ("alert_not_due", ["UPDATE enrichment_runs SET alert_kind = 'quota_exhausted' WHERE state = 'closed'"]),
    ("alert_not_sent", ["UPDATE enrichment_runs SET alert_sent = (1 = 0) WHERE state IN ('closed', 'failed')"]),
]
