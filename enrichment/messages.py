"""What people are sent: the text of alerts, in Markdown, and how it looks in Slack and in e-mails."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from enrichment.alerts import Concern, Known, gravest
from enrichment.books import Books
from enrichment.causes import ADVICE, RECOVERED


@dataclass(frozen=True, slots=True)
class Alert:
    """One message; `kind` is empty for the message that a problem is resolved."""

    kind: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """
    The run that people read about.

    Args:
        run: its name and id.
        retry: the command that puts its failed contacts back.
        books: of the run.
        page: address of a contact's page in the CRM, `{crm_id}` in the id's place; empty if that isn't known.
    """

    run: str
    retry: str = "enrich retry --all"
    books: Books = field(default_factory=Books)
    page: str = ""


def compose_alert(
    fresh: Sequence[Concern], concerns: Sequence[Concern], known: Known, occasion: Occasion
) -> Alert | None:
    """
    Return the message that a run deserves, or None if there is nothing new.

    Links and commands in its text are Markdown.

    Args:
        fresh: concerns that people don't know yet, or not as bad.
        concerns: all of the run.
        known: what people knew before the run.
        occasion: the run.
    """
    over = _over(concerns, known)
    if not fresh and not over:
        return None
    lines = [occasion.run, *_counts(occasion.books)]
    over_now = ", ".join(RECOVERED[kind] for kind in over)
    if not fresh:
        return Alert("", f"Contact enrichment recovered: {over_now}", "\n".join(lines))
    # Also what people know already of contacts that failed: it belongs to the picture.
    shown = [one for one in concerns if one.text and (one in fresh or one.kind == "failed_contacts")]
    lines += [line for one in shown for line in concern_lines(one, occasion.page)]
    lines += [f"Recovered: {over_now}."] if over else []
    advice = dict.fromkeys(ADVICE[kind] for kind in ADVICE if kind in {one.kind for one in fresh})
    lines += [text.replace("{retry}", f"`{occasion.retry}`") for text in advice]
    lines += [] if "broken_promise" in {one.kind for one in fresh} else [_LOST]
    return Alert(gravest(fresh), _subject(fresh, occasion.books), "\n".join(lines))


_LOST = "Nothing is lost: failed contacts are kept until they are retried, and all others wait in the queue."


def concern_lines(one: Concern, page: str) -> Iterator[str]:
    """Yield what people read of a concern: what is wrong, whom it is about, since when, and what to do."""
    yield one.text
    listed = ", ".join(f"[{crm_id}]({page.replace('{crm_id}', crm_id)})" if page else crm_id for crm_id in one.contacts)
    since = f"since {one.since}" if one.since else ""
    if about := "; ".join(part for part in (since, f"contacts {listed}" if listed else "") if part):
        yield f"- {about}"
    if one.fix:
        yield f"- how to fix it: {one.fix}"


def _over(concerns: Iterable[Concern], known: Known) -> list[str]:
    now = {one.kind for one in concerns}.intersection(RECOVERED)
    before = {key.partition("|")[0] for key in known}
    # Beside single contacts that fail, what was graver may be over.
    return [kind for kind in RECOVERED if kind in before - now] if now <= {"failed_contacts"} else []


def _counts(books: Books) -> list[str]:
    back = f"{books.finished:,} finished, {books.returned:,} back in the queue"
    return [f"{books.claimed:,} contacts taken from the queue, {back}"] if books.claimed else []


def compose_version_notice(provider: str, before: Sequence[str], now: Sequence[str], *, run: str) -> Alert:
    """Return the message that a provider speaks another version of its API than in the last run; nothing failed."""
    change = f"{', '.join(now)} instead of {', '.join(before)}"
    body = f"{run}\nThe meaning of its answers may have changed: check the match rate and the fields of this run."
    return Alert("api_version", f"Contact enrichment: {provider} answers with API version {change}", body)


def _subject(fresh: Sequence[Concern], books: Books) -> str:
    kind = gravest(fresh)
    mine = [one for one in fresh if one.kind == kind]
    match kind:
        case "failure_rate":
            return f"Contact enrichment: {books.failure_rate:.1%} of {books.claimed:,} contacts failed"
        case "failed_contacts":
            return f"Contact enrichment: {sum(int(one.size) for one in mine):,} contacts failed"
        case "refused_fields":
            fields = dict.fromkeys(one.about.partition(" ")[0] for one in mine)
            return f"Contact enrichment: {', '.join(fields)} can't be written as mapped"
        case "invalid" | "unmatched":
            return f"Contact enrichment: {mine[0].size:.0%} of the contacts are {kind}"
        case "broken_promise":
            return "Contact enrichment: the audit found a problem"
        case "failed":
            return "Contact enrichment: a run failed"
        case "crashed":
            return "Contact enrichment: part of a run failed unexpectedly"
        case _:
            return f"Contact enrichment stopped: {kind.replace('_', ' ')}"


_LINK = re.compile(r"\[([^\]\n]+)\]\((https?://[^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


def slack_text(subject: str, body: str) -> str:
    """Return a message as Slack has it: with its own links, and the three characters escaped that it reads."""
    text = f"*{html.escape(subject, quote=False)}*\n{html.escape(body, quote=False)}"
    return _LINK.sub(r"<\2|\1>", text)


def plain_text(body: str) -> str:
    """Return a message without marks, each link's address behind its words."""
    return _LINK.sub(r"\1 (\2)", body)


def html_text(body: str) -> str:
    """Return a message as HTML that every mail program shows."""
    text = _LINK.sub(r'<a href="\2">\1</a>', html.escape(body))
    lines = _CODE.sub(r"<code>\1</code>", text).replace("\n", "<br>\n")
    return f'<div style="font-family: sans-serif; line-height: 1.5">{lines}</div>\n'
