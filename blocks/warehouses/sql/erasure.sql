-- What an erasure reads and forgets of one contact.

-- query: read_requests
-- Reads which requests were made for a contact.
SELECT provider, request_key, email_key FROM contact_requests
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_requests
-- Forgets which requests were made for a contact.
DELETE FROM contact_requests WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: read_addresses
-- Reads the addresses that are kept of a contact.
SELECT email_address FROM failed_records
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id
UNION ALL SELECT lookup_identifier FROM unmatched_records
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_contact
-- Deletes a contact's result.
DELETE FROM enriched_contacts WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_history
-- Deletes a contact's earlier results.
DELETE FROM enrichment_history WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_unmatched
-- Deletes what is filed of a contact as unmatched.
DELETE FROM unmatched_records WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_writes
-- Deletes the changes that were made to a contact.
DELETE FROM crm_writes WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_dead_letters
-- Deletes a contact's dead letters.
DELETE FROM failed_records WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_refusals
-- Deletes what was refused of a contact.
DELETE FROM field_refusals WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: forget_planned
-- Deletes the planned changes of a contact.
DELETE FROM planned_changes WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: blank_ledger
-- Takes the requests and the domain of the address from the ledger of an erased contact, and says why there are none.
UPDATE record_ledger SET request_key = 'erased', email_domain = NULL
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: blank_replies
-- Blanks replies about erased people; cost and time are no personal data, and keep the sums right.
UPDATE provider_replies SET reply = NULL, request_id = NULL, outcome = 'erased'
WHERE provider = :provider AND outcome <> 'erased' AND request_key {among::keys}

-- query: take_records
-- Claims one contact's record for an erasure, also if a run holds it.
UPDATE enrichment_staging SET
    claimed_by = :token,
    claim_run_id = NULL,
    claim_expires_at = {steady_in::lease_seconds},
    state = CASE state WHEN 'waiting' THEN 'claimed' ELSE state END
WHERE crm = :crm AND object_type = :object_type AND crm_id = :crm_id

-- query: allow_key
-- Takes off the suppression list what was put on it for this hashed identifier.
DELETE FROM suppressed_contacts WHERE suppressed_for = :subject

-- query: read_allowances
-- Reads which of these hashed identifiers were taken off the suppression list, by whom and when.
SELECT c.key_hash, c.changed_by, {read:c.changed_at} AS changed_at FROM suppression_changes c
WHERE c.action = 'allowed' AND c.key_hash {among::keys}
