"""Preparing the enrichment of a CSV file, for users who have no CRM."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blocks.base import ENV_PREFIX, configure, variable_prefix
from blocks.crms.file.block import File
from blocks.settings import load_settings
from blocks.warehouses.base import open_warehouse
from enrichment.errors import ConfigurationError, sealed
from tasks.setup import check_ready

#: By which name of an identifier its column is chosen.
COLUMNS: Mapping[str, str] = {
    "crm_id": "id_column",
    "email": "email_column",
    "first_name": "first_name_column",
    "last_name": "last_name_column",
    "company": "company_column",
}


@dataclass(frozen=True, slots=True)
class FileJob:
    """
    What to enrich into what.

    Args:
        path: of the input.
        output: of what is written; None for the input itself.
        overwrite: whether the input's values may be replaced.
        neutralise: whether values that a spreadsheet would run are written so that it doesn't.
        columns: chosen columns by name of an identifier.
        encoding: of the input; empty to find it.
        delimiter: of the input; empty to find it.
    """

    path: Path
    output: Path | None
    overwrite: bool = False
    neutralise: bool = True
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    delimiter: str = ""

    @property
    def reference(self) -> str:
        """Return the CRM's reference: the contacts of each pair of files have a queue of their own."""
        target = self.output or self.path
        return "file:" + hashlib.sha256(f"{self.path.resolve()}\0{target.resolve()}".encode()).hexdigest()[:12]

    def settings(self) -> dict[str, str]:
        """Return the settings that say the same."""
        unknown = sorted(self.columns.keys() - COLUMNS.keys())
        if unknown:
            raise ConfigurationError(f"'{unknown[0]}' is not a valid identifier: choose one of {', '.join(COLUMNS)}")
        options = {
            "path": str(self.path.resolve()),
            "output": str((self.output or self.path).resolve()),
            "in_place": str(self.output is None),
            "overwrite": str(self.overwrite),
            "neutralise": str(self.neutralise),
            **{COLUMNS[name]: column for name, column in self.columns.items()},
        }
        reading = {"csv_encoding": self.encoding, "csv_delimiter": self.delimiter}
        return {f"{variable_prefix(File.vendor)}{name}".upper(): value for name, value in options.items()} | {
            f"{ENV_PREFIX}{name}".upper(): value for name, value in reading.items() if value
        }


@dataclass(frozen=True, slots=True)
class Prepared:
    """
    A file that is ready to be enriched.

    Args:
        contacts: how many it has.
        notes: what people should know of how it was read.
    """

    contacts: int
    notes: tuple[str, ...]


@sealed
def open_enriched(job: FileJob) -> str:
    """
    Make a file that was enriched this process's CRM again, with its working copy, and return its reference.

    Raises:
        ConfigurationError: a file, a column or another setting is wrong; no file was changed.
    """
    os.environ.update(job.settings() | {"ENRICHMENT_CRM": job.reference})
    configure(File, "").get_crm().begin()
    return job.reference


@sealed
def prepare_file(job: FileJob, *, provider: str = "", force: bool = False) -> Prepared:
    """
    Make the file this process's CRM, and a working copy of it; the whole file is checked.

    Raises:
        ConfigurationError: a file, a column or another setting is wrong; no file was changed.
    """
    # The tasks build the CRM from the settings; and the output must have what another run bought within `fresh_days`.
    os.environ.update(job.settings() | {"ENRICHMENT_CRM": job.reference, "ENRICHMENT_FRESH_DAYS": "0"})
    crm = configure(File, "").get_crm()
    _set_up_if_absent()
    check_ready(provider)
    crm.begin(force=force)
    return Prepared(crm.count, crm.notes)


@sealed
def finish_file() -> None:
    """Write what was found into the output, if a run that was interrupted hasn't."""
    configure(File, "").get_crm().finish()


def _set_up_if_absent() -> None:
    with open_warehouse(load_settings().warehouse) as warehouse:
        try:
            warehouse.count_queue()
        except ConfigurationError:
            warehouse.migrate()
