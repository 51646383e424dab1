"""`enrich doctor`: whether every configured system answers."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from commands.terminal import ExitCode, Json, mark, reported_errors, say

if TYPE_CHECKING:
    from tasks.doctor import Finding


def doctor(as_json: Json = False) -> None:
    """Check that every configured system answers, with free calls only."""
    with reported_errors():
        from tasks.doctor import examine  # noqa: PLC0415 - Prefect takes seconds to import

        findings = examine()
        say([asdict(one) for one in findings], as_json, lambda: findings_text(findings))
        if not all(finding.well for finding in findings):
            raise typer.Exit(ExitCode.FAILED)


def findings_text(findings: Sequence["Finding"]) -> str:
    """Return a line for each system that was asked."""
    return "\n".join(f"{mark(one.well)} {escape(one.system)}: {escape(one.says)}" for one in findings)
