"""The pictures of the documentation that no browser test takes: `python -m tests.browser.build_pictures FOLDER`."""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from enrichment.alerts import Cause, Limits, concerns_of
from enrichment.books import Books
from enrichment.messages import Occasion, compose_alert, slack_text
from enrichment.records import Disposition
from enrichment.refusals import RefusedField
from enrichment.review import CrmLook, FailureGroup, Latency, ProviderUse, ResultShare, UnmatchedGroup
from enrichment.review_text import review_markdown
from tests.browser.build_page import RATES, READ_AT, review

WIDTH = 150
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ font: 15px/1.47 Lato, Helvetica, Arial, sans-serif; color: #1d1c1d; margin: 16px; width: 680px }}
p {{ margin: 0 0 4px }} b.app {{ font-weight: 900 }} small {{ color: #616061; margin-left: 6px }}
i {{ float: left; width: 36px; height: 36px; border-radius: 8px; background: #4a154b }} div {{ margin-left: 48px }}
a {{ color: #1264a3; text-decoration: none }}
code {{ font: 12px monospace; color: #c01343; background: #f8f8f8; border: 1px solid #ddd; border-radius: 3px }}
</style><i></i><div><p><b class="app">Contact enrichment</b><small>APP&nbsp; 9:14</small></p>{text}</div>"""


def terminal_picture() -> str:
    """Return the review as a terminal shows it."""
    found = replace(
        review(),
        days=7,
        ended={"written": 677, "unchanged": 21, "unmatched": 282, "invalid": 31, "failed": 16},
        ended_before={"written": 604, "unmatched": 290, "invalid": 12},
        providers=[ProviderUse("zoominfo", 980, 698, 659, 611)],
        contacts=698,
        filled={name: int(698 * rate) for name, rate in RATES.items()},
        latency={"created": Latency(640, 17, 44)},
        unmatched=[
            UnmatchedGroup("unknown_company", "zoominfo", 212, 40, ("101000000501",), READ_AT),
            UnmatchedGroup("free_mail", "zoominfo", 61, 0, ("101000000517",), READ_AT),
        ],
        failures=[FailureGroup("validation_error", "write_back", 16, 7, "101000000101")],
        shares=[ResultShare("queued by", "webhook", 812, 240, 31, 7)],
        look=CrmLook(1000, (), review().look.edited),
        refusals=[RefusedField("industry", "not_an_option", 41, (("Mining", 40),))],
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Markdown(review_markdown(found, domains=True)))
    return console.export_svg(title="enrich review", unique_id="review")


def slack_picture() -> str:
    """Return an alert as Slack renders it, as nearly as HTML can."""
    books = Books(claimed=120, dispositions={Disposition.WRITTEN: 84, Disposition.UNMATCHED: 29, Disposition.FAILED: 7})
    contacts = tuple(str(101000000101 + number) for number in range(7))
    cause = Cause("validation_error", "write_back", 7, contacts, "2026-11-28T08:02:11Z")
    concerns = concerns_of(books, Limits(), causes=[cause], crm="hubspot", provider="zoominfo")
    occasion = Occasion(
        "flow run enrich 120 contacts of hubspot with zoominfo (0f9c2b1e)",
        "enrich retry --run 0f9c2b1e",
        books,
        "https://app.hubspot.com/contacts/1/record/0-1/{crm_id}",
    )
    alert = compose_alert(concerns, concerns, {}, occasion)
    assert alert is not None
    return PAGE.format(text=_mrkdwn(slack_text(alert.subject, alert.body)))


def _mrkdwn(text: str) -> str:
    linked = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", r'<a href="\1">\2</a>', text)
    marked = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", linked))
    return "".join(f"<p>{line}</p>" for line in marked.splitlines())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "review.svg").write_text(terminal_picture(), encoding="utf-8")
    (folder / "slack.html").write_text(slack_picture(), encoding="utf-8")
