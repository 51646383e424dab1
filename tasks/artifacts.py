"""
Artifacts, which Prefect's UI shows with a run; a local run has no UI, so it makes none.

The UI's menu has no entry for them, so the run's log has the address of each.
"""

from collections.abc import Callable, Sequence
from typing import Any

from prefect.settings import get_current_settings

from blocks.log import event
from enrichment.errors import cause
from tasks.present_run import local_run


def publish_markdown(markdown: str, *, key: str, description: str) -> None:
    """Show a text with the present run, and under its key the texts of earlier runs."""
    if local_run() is None:
        from prefect.artifacts import create_markdown_artifact  # noqa: PLC0415 - commands that only look need none

        _say_where(key, create_markdown_artifact(markdown, key=key, description=description))


def publish_table(rows: Sequence[dict[str, Any]], *, key: str, description: str) -> None:
    """Show rows with the present run, and under their key those of earlier runs."""
    if local_run() is None:
        from prefect.artifacts import create_table_artifact  # noqa: PLC0415 - as above

        _say_where(key, create_table_artifact(list(rows), key=key, description=description))


def publish_link(link: str, text: str, *, key: str, description: str) -> None:
    """Show a link with the present run, and under its key those of earlier runs."""
    if local_run() is None:
        from prefect.artifacts import create_link_artifact  # noqa: PLC0415 - as above

        _say_where(key, create_link_artifact(link, text, key=key, description=description))


def publish_progress(description: str, *, key: str) -> Callable[[float], object]:
    """Show a bar with the present run, and return what moves it, in per cent; a server that refuses it stops no run."""
    from prefect.artifacts import create_progress_artifact, update_progress_artifact  # noqa: PLC0415 - as above

    made: Any = create_progress_artifact(0.0, key=key, description=description)
    _say_where(key, made)

    def move(percent: float) -> None:
        try:
            update_progress_artifact(made, percent)
        except Exception as error:  # noqa: BLE001 - whatever the server has against it
            event("progress_not_shown", error=cause(error))

    return move


def _say_where(key: str, made: Any) -> None:
    if url := get_current_settings().ui_url:
        event("artifact", key=key, page=f"{url}/artifacts/artifact/{made}")
