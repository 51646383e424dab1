"""Bulk API 2.0: jobs that take a CSV, run for a while, and list what became of its rows."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sandbox.exchange import Reply, Request, json_reply, text_reply
from sandbox.salesforce.errors import RecordError, malformed, unknown_path
from sandbox.salesforce.writes import ContactWrites
from sandbox.settings import SalesforceSettings

Row = Mapping[str, str]


@dataclass
class _Job:
    """A job, and what became of its rows."""

    id: str
    state: str = "Open"
    polls: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)
    results: dict[str, list[Row]] = field(default_factory=dict)
    error: str = ""

    def render(self) -> dict[str, Any]:
        counts = {kind: len(rows) for kind, rows in self.results.items()}
        return {
            "id": self.id,
            "object": "Contact",
            "operation": "update",
            "state": self.state,
            "contentType": "CSV",
            "numberRecordsProcessed": counts.get("successfulResults", 0) + counts.get("failedResults", 0),
            "numberRecordsFailed": counts.get("failedResults", 0),
            **({"errorMessage": self.error} if self.error else {}),
        }


class BulkJobs:
    """Answers the calls below `jobs/ingest`."""

    def __init__(self, writes: ContactWrites) -> None:
        self._writes = writes
        self._numbers = count(1)
        self._jobs: dict[str, _Job] = {}

    @property
    def states(self) -> list[str]:
        """The state of each job, oldest first."""
        return [job.state for job in self._jobs.values()]

    def answer(self, request: Request, tail: str, settings: SalesforceSettings) -> Reply:
        """Answer a call."""
        if not tail:
            return self._create(request)
        job_id, _, part = tail.partition("/")
        job = self._jobs.get(job_id)
        if job is None:
            raise unknown_path()
        if part == "batches" and request.method == "PUT":
            return self._upload(job, request)
        if part:
            return self._results(job, part)
        return self._change(job, request) if request.method == "PATCH" else self._look(job, settings)

    def _create(self, request: Request) -> Reply:
        wanted = request.json()
        if wanted.get("object") != "Contact" or wanted.get("operation") != "update":
            raise malformed("INVALID_BATCH", "only updates of contacts are simulated")
        job = _Job(f"7505e{next(self._numbers):010d}AAA")
        self._jobs[job.id] = job
        return json_reply({**job.render(), "contentUrl": f"services/data/v68.0/jobs/ingest/{job.id}/batches"})

    def _upload(self, job: _Job, request: Request) -> Reply:
        if job.state != "Open" or job.rows:
            raise malformed("INVALIDJOBSTATE", "the job takes no data")
        job.rows = list(csv.DictReader(io.StringIO(request.body.decode())))
        return Reply(201, inputs=len(job.rows))

    def _change(self, job: _Job, request: Request) -> Reply:
        job.state = str(request.json().get("state"))
        if job.state == "Aborted":
            job.results.setdefault("unprocessedrecords", list(job.rows))
        return json_reply(job.render())

    def _look(self, job: _Job, settings: SalesforceSettings) -> Reply:
        if job.state in ("UploadComplete", "InProgress"):
            job.polls += 1
            job.state = "InProgress"
            if job.polls > settings.bulk_polls >= 0:
                self._process(job, settings.bulk_unprocessed)
        return json_reply(job.render())

    def _process(self, job: _Job, left: int) -> None:
        unknown = self._writes.unknown_columns(name for name in (job.rows[0] if job.rows else ()) if name != "Id")
        if unknown:
            job.error = f"InvalidBatch : Field name not found : {unknown[0]}"
            job.state = "Failed"
            return
        end = max(len(job.rows) - left, 0)
        good: list[Row] = []
        bad: list[Row] = []
        for row in job.rows[:end]:
            error = self._update(row)
            if error:
                bad.append({"sf__Id": "", "sf__Error": error, **row})
            else:
                good.append({"sf__Id": row["Id"], "sf__Created": "false", **row})
        job.results = {"successfulResults": good, "failedResults": bad, "unprocessedrecords": list(job.rows[end:])}
        job.state = "Failed" if left else "JobComplete"

    def _update(self, row: Row) -> str:
        # An empty cell leaves the field as it is.
        values = {name: None if value == "#N/A" else value for name, value in row.items() if value and name != "Id"}
        try:
            self._writes.update(row["Id"], values)
        except RecordError as error:
            return error.in_csv()
        return ""

    def _results(self, job: _Job, kind: str) -> Reply:
        if kind not in ("successfulResults", "failedResults", "unprocessedrecords"):
            raise unknown_path()
        head = {"successfulResults": ["sf__Id", "sf__Created"], "failedResults": ["sf__Id", "sf__Error"]}.get(kind, [])
        columns = [*head, *(job.rows[0] if job.rows else ["Id"])]
        return text_reply(_csv(columns, job.results.get(kind, [])), content_type="text/csv")


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
