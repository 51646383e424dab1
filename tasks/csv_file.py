"""Preparing the enrichment of a CSV file, for users who have no CRM."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blocks.base import configure, variable_prefix
from blocks.crms.file.block import File, FileCrm
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
        columns: chosen columns by name of an identifier.
    """

    path: Path
    output: Path | None
    overwrite: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)

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
            **{COLUMNS[name]: column for name, column in self.columns.items()},
        }
        return {f"{variable_prefix(File.vendor)}{name}".upper(): value for name, value in options.items()}


@sealed
def prepare_file(job: FileJob, *, provider: str = "", force: bool = False) -> int:
    """
    Make the file this process's CRM, and its output; return how many contacts it has.

    Raises:
        ConfigurationError: a file, a column or another setting is wrong; no file was changed.
    """
    # The tasks build the CRM from the settings; and the output must have what another run bought within `fresh_days`.
    os.environ.update(job.settings() | {"ENRICHMENT_CRM": job.reference, "ENRICHMENT_FRESH_DAYS": "0"})
    crm = configure(File, "").get_crm()
    _set_up_if_absent()
    check_ready(provider)
    crm.begin(force=force)
    return _count(crm)


def _set_up_if_absent() -> None:
    with open_warehouse(load_settings().warehouse) as warehouse:
        try:
            warehouse.count_queue()
        except ConfigurationError:
            warehouse.migrate()


def _count(crm: FileCrm) -> int:
    return sum(len(page) for page in crm.list_contacts())
