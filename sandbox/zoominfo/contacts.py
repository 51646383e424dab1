"""The contacts call: up to 25 lookups, each answered by a separate row."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.people import chance
from sandbox.settings import ZoomInfoSettings
from sandbox.zoominfo import errors
from sandbox.zoominfo.account import Account
from sandbox.zoominfo.directory import (
    FULL_MATCH,
    HITS,
    INVALID_INPUT,
    Directory,
    Finding,
    fault_status,
    normalise,
)
from sandbox.zoominfo.envelope import ContactQuery
from sandbox.zoominfo.errors import PlatformError
from sandbox.zoominfo.records import contact_row, missed_row, missing_fields, reshaped

LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
LACKS_REQUIRED_FIELDS = "NON_MATCH_BY_REQUIRED_FIELDS"
WARNED_SHARE = 0.03
_WARNING = {
    "code": "PARTIAL_DATA",
    "message": "Some of the requested fields have no value for this record",
    "fields": ["contactAccuracyScore"],
}
_FAULT_CODES = {400: errors.INVALID_VALUE, 504: errors.TIMED_OUT}


@dataclass(frozen=True, slots=True)
class ContactCall:
    """
    Answers one call.

    Args:
        directory: whom ZoomInfo knows.
        account: that pays.
        settings: of the account.
        lookups: counts what was looked up.
    """

    directory: Directory
    account: Account
    settings: ZoomInfoSettings
    lookups: Counter[str]

    def answer(self, query: ContactQuery) -> dict[str, Any]:
        """
        Return the JSON of the answer.

        Raises:
            PlatformError: the whole call fails.
        """
        keys = [normalise(each) for each in query.inputs]
        _fail_if_asked_to(keys)
        findings = [self._find(key, query.required) for key in keys]
        self._check_credits(findings)
        rows = [self._row(query, *each) for each in zip(query.inputs, keys, findings, strict=True)]
        self.lookups.update(keys)
        if self.settings.shuffle:
            random.Random("".join(keys)).shuffle(rows)
        return {"data": rows}

    def _find(self, key: str, required: Sequence[str]) -> Finding:
        finding = self.directory.find(key) if key else Finding(INVALID_INPUT)
        if finding.person and missing_fields(finding, required):
            return Finding(LACKS_REQUIRED_FIELDS)
        return finding

    def _check_credits(self, findings: Sequence[Finding]) -> None:
        mode = self.settings.exhaustion
        cost = self.account.cost([each.record_id for each in findings if self._is_billed(each)])
        none_left = mode == "rows_then_error" and self.account.credits_left < 1
        if none_left or (mode == "error" and cost > self.account.credits_left):
            raise PlatformError(errors.NO_CREDITS, "The credit limit of this account has been reached")

    def _row(self, query: ContactQuery, lookup: Mapping[str, Any], key: str, finding: Finding) -> dict[str, Any]:
        meta: dict[str, Any] = {"matchStatus": finding.status, "input": lookup}
        if finding.person is None:
            return missed_row(meta)
        if self._is_billed(finding) and not self.account.buy(finding.record_id):
            return missed_row({**meta, "matchStatus": LIMIT_EXCEEDED})
        self.account.records += 1
        if chance(f"warning {key}") < WARNED_SHARE:
            meta["warnings"] = [_WARNING]
        row = contact_row(finding, finding.person, query.fields, meta)
        return reshaped(row, self.settings.renames, self.settings.constants)

    def _is_billed(self, finding: Finding) -> bool:
        statuses = HITS if self.settings.bill_partial_matches else (FULL_MATCH,)
        return finding.status in statuses


def _fail_if_asked_to(keys: Sequence[str]) -> None:
    for key in keys:
        status = fault_status(key)
        if status is not None:
            code = _FAULT_CODES.get(status, errors.SERVER_ERROR)
            raise PlatformError(code, "The request could not be processed", status=status)
