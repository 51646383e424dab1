"""What a setting such as `hubspot/prod` names."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Reference:
    """
    A vendor and, perhaps, the Prefect document that configures it.

    Args:
        name: by which records are known; what follows a colon in it keeps contacts of several files apart.
        document: its name in Prefect; empty for the default.
    """

    name: str
    document: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `<vendor>` or `<vendor>/<document>` stands for."""
        name, _, document = text.strip().partition("/")
        return cls(name, document)

    @property
    def vendor(self) -> str:
        """Return the name of the vendor alone."""
        return self.name.partition(":")[0]

    def __str__(self) -> str:
        return f"{self.name}/{self.document}" if self.document else self.name
