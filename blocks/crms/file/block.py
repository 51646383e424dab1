"""The settings of a CSV file that is enriched into another one, for those who have no CRM."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, HttpUrl

from blocks.crms.base import CrmBlock
from blocks.crms.file.adapter import FileCrm
from blocks.crms.file.columns import DEFAULT_RULES
from blocks.crms.ids import wrong_id
from blocks.crms.mapping import read_rules
from enrichment.errors import ConfigurationError
from enrichment.write_policy import FieldRule


class File(CrmBlock):
    """
    A CSV file that is enriched into another one.

    Example:
        Enrich a list that lies where the worker runs::

            File(path="/data/contacts.csv", output="/data/enriched.csv").save("list")
    """

    _block_type_name = "CSV File CRM"
    _block_type_slug = "enrichment-file"
    _description = "A CSV file of contacts that is enriched into another one."
    _documentation_url = HttpUrl("https://docs.python.org/3/library/csv.html")
    vendor: ClassVar[str] = "file"
    asked: ClassVar[tuple[str, ...]] = ("path", "output")

    path: Path | None = Field(default=None, description="CSV file with a line that names the columns.")
    output: Path | None = Field(
        default=None, description="CSV file to write; it may be the input only if in_place is set."
    )
    in_place: bool = Field(default=False, description="Whether the output may be the input.")
    overwrite: bool = Field(default=False, description="Whether values that the input has may be replaced.")
    neutralise: bool = Field(
        default=True,
        description="Whether values that a spreadsheet would run as a formula are written with an apostrophe before "
        "them.",
    )
    id_column: str = Field(default="", description="Column of the id; empty: `crm_id`, else the row's number.")
    email_column: str = Field(default="", description="Column of the e-mail address; empty: by its name.")
    first_name_column: str = Field(default="", description="Column of the first name; empty: by its name.")
    last_name_column: str = Field(default="", description="Column of the last name; empty: by its name.")
    company_column: str = Field(default="", description="Column of the company's name; empty: by its name.")
    mapping_file: Path | None = Field(
        default=None, description="YAML list of {field, source, rule, stamp}, laid over the default columns."
    )

    def default_rules(self) -> tuple[FieldRule, ...]:
        """Return how fields are filled by default; see the base."""
        return DEFAULT_RULES

    @classmethod
    def contact_id(cls, text: str) -> str:
        """Return a row's id, which is as the file has it."""
        if not text.strip():
            raise wrong_id("", "a row's id", "name the row")
        return text.strip()

    def get_crm(self) -> FileCrm:
        """
        Return the adapter.

        Raises:
            ConfigurationError: a file isn't named, the input can't be read, or a column is missing.
        """
        if self.path is None or self.output is None:
            missing = "PATH" if self.path is None else "OUTPUT"
            raise ConfigurationError(f"ENRICHMENT_FILE_{missing} is not set: name the file")
        path, output = self.path.resolve(), self.output.resolve()
        if path == output and not self.in_place:
            raise ConfigurationError(f"{output} is the input: choose another output, or use `--in-place`")
        chosen = {
            "crm_id": self.id_column,
            "email": self.email_column,
            "first_name": self.first_name_column,
            "last_name": self.last_name_column,
            "company_name": self.company_column,
        }
        rules = read_rules(self.mapping_file, self.default_rules())
        return FileCrm(path, output, chosen=chosen, rules=rules, overwrite=self.overwrite, neutralise=self.neutralise)
