"""
Many updates at once through Bulk API 2.0: one job instead of a call for every 200 records.

A finished job isn't a success: its rows succeeded, failed, or weren't processed, and each kind has its own list. An
empty cell leaves a field as it is, and `#N/A` clears it, so that text is never sent this way.
"""

import csv
import io
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from blocks.calls.messages import Call
from blocks.crms.outcomes import UNPROCESSED, Ending, Input, failed
from blocks.crms.salesforce.api import SalesforceApi, faults, read_bulk_error, refused
from blocks.crms.salesforce.ids import short
from enrichment.errors import EnrichmentError, RequestRefusedError

logger = logging.getLogger(__name__)

JOBS = "jobs/ingest"
#: Salesforce takes 150 MB; some of it goes by encoding.
MOST_BYTES = 90_000_000
CLEARS = "#N/A"
_ENDED = frozenset({"JobComplete", "Failed", "Aborted"})
_ID = "Id"
_CSV = {"Content-Type": "text/csv; charset=UTF-8"}


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """
    When and how patiently jobs are used.

    Args:
        threshold: more records than this go as a job.
        wait_seconds: how long a job may take before it is aborted.
        poll_seconds: between two looks at it.
    """

    threshold: int
    wait_seconds: float
    poll_seconds: float = 2.0


class BulkWriter:
    """Writes many contacts as jobs, one after the other: parallel ones would lock each other out."""

    def __init__(self, api: SalesforceApi, options: BulkOptions) -> None:
        self._api = api
        self._options = options
        #: Whether a job may have written something although it was refused.
        self.in_doubt = False

    def choose(self, inputs: Sequence[Input]) -> list[Input]:
        """Return which of the inputs go as a job."""
        if len(inputs) <= self._options.threshold:
            return []
        return [each for each in inputs if CLEARS not in each.fields.values()]

    def write(self, inputs: Sequence[Input]) -> list[Ending]:
        """
        Write contacts, and return how each ended.

        There is none for those whose job was refused as a whole, for the org or for a column: sent another way,
        they are written, or the bad ones are found.
        """
        endings: list[Ending] = []
        for part, text in _uploads(inputs):
            try:
                endings += self._run(part, text)
            except RequestRefusedError as refusal:
                logger.warning("salesforce_job_refused status=%s code=%s", refusal.status, refusal.complaint.code)
            except EnrichmentError as error:
                endings += [failed(each, error) for each in part]
        return endings

    def _run(self, part: Sequence[Input], text: bytes) -> list[Ending]:
        job, uploaded = self._open(), False
        try:
            upload = Call("PUT", f"{job}/batches", headers=_CSV, content=text, repeatable=False)
            self._api.ask(upload, lambda _: True)
            uploaded = True
            self._set_state(job, "UploadComplete")
            state = self._await(job)
        except EnrichmentError:
            self.in_doubt |= uploaded
            self._abandon(job)
            raise
        done, faulty = self._results(job, "successfulResults"), self._results(job, "failedResults")
        logger.info("salesforce_job_ended state=%s written=%s failed=%s", state, len(done), len(faulty))
        if state == "Failed" and not done and not faulty:
            return []
        return [_ending(each, done, faulty, state) for each in part]

    def _open(self) -> str:
        job = {"object": "Contact", "operation": "update", "contentType": "CSV", "lineEnding": "LF"}
        answer = self._api.ask(Call("POST", JOBS, body=job), _is_job)
        return f"{JOBS}/{answer.body['id']}"

    def _set_state(self, job: str, state: str) -> None:
        self._api.ask(Call("PATCH", job, body={"state": state}), _is_job)

    def _await(self, job: str) -> str:
        deadline = time.monotonic() + self._options.wait_seconds
        while time.monotonic() < deadline:
            state = str(self._api.ask(Call("GET", job), _is_job).body["state"])
            if state in _ENDED:
                return state
            time.sleep(self._options.poll_seconds)
        # What was done until now is in the results; the rest isn't touched any more.
        self._set_state(job, "Aborted")
        return "Aborted"

    def _abandon(self, job: str) -> None:
        try:
            self._set_state(job, "Aborted")
        except EnrichmentError:
            logger.warning("salesforce_job_abandoned")

    def _results(self, job: str, kind: str) -> dict[str, str]:
        """Return the error of each row of one kind, by the short id; empty for those that succeeded."""
        text = self._api.ask(Call("GET", f"{job}/{kind}"), _is_csv).body or ""
        rows = csv.DictReader(io.StringIO(text))
        return {short(row.get("sf__Id") or row.get(_ID) or ""): row.get("sf__Error") or "" for row in rows}


def _ending(each: Input, done: dict[str, str], faulty: dict[str, str], state: str) -> Ending:
    key = short(each.crm_id)
    if key in faulty:
        complaint = read_bulk_error(faulty[key])
        # The error is one text: what stands in the place of the fields could be a part of the message.
        return refused(each, replace(complaint, fields=tuple(fault.field for fault in faults(each, complaint))))
    if key in done:
        return Ending(each)
    return Ending(each, UNPROCESSED, f"the bulk job ended as {state} without the contact")


def _uploads(inputs: Sequence[Input]) -> Iterator[tuple[Sequence[Input], bytes]]:
    """Yield the inputs with their CSV, in parts that are small enough for one job."""
    if not inputs:
        return
    text = _csv(inputs)
    if len(text) <= MOST_BYTES or len(inputs) == 1:
        yield inputs, text
        return
    middle = len(inputs) // 2
    yield from _uploads(inputs[:middle])
    yield from _uploads(inputs[middle:])


def _csv(inputs: Sequence[Input]) -> bytes:
    fields = sorted({field for each in inputs for field in each.fields})
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [_ID, *fields], lineterminator="\n")
    writer.writeheader()
    for each in inputs:
        writer.writerow({_ID: each.crm_id} | {name: text or CLEARS for name, text in each.fields.items()})
    return buffer.getvalue().encode()


def _is_job(body: Any) -> bool:
    return isinstance(body, dict) and isinstance(body.get("id"), str) and isinstance(body.get("state"), str)


def _is_csv(body: Any) -> bool:
    return body is None or isinstance(body, str)
