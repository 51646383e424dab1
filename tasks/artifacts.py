"""Artifacts, which Prefect's UI shows with a run; a local run has no UI, so it makes none."""

from collections.abc import Sequence
from typing import Any

from tasks.present_run import local_run


def publish_markdown(markdown: str, *, key: str, description: str) -> None:
    """Show a text with the present run, and under its key the texts of earlier runs."""
    if local_run() is None:
        from prefect.artifacts import create_markdown_artifact  # noqa: PLC0415 - commands that only look need none

        create_markdown_artifact(markdown, key=key, description=description)


def publish_table(rows: Sequence[dict[str, Any]], *, key: str, description: str) -> None:
    """Show rows with the present run, and under their key those of earlier runs."""
    if local_run() is None:
        from prefect.artifacts import create_table_artifact  # noqa: PLC0415 - as above

        create_table_artifact(list(rows), key=key, description=description)
