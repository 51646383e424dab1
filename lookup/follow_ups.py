"""Follow-ups of one provider: its further calls about the companies of contacts, one for all contacts of a company."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blocks.providers.base import FollowUp, Reply, Request
from enrichment.records import ENRICHED
from enrichment.waterfall import unite
from lookup.cases import Case, Heard, Known, Pending


@dataclass(frozen=True, slots=True)
class Added:
    """
    What a follow-up adds to a record.

    Args:
        fields: canonical ones.
        keys: of the requests that have a reply.
        received_at: when the latest of those replies was; empty without any.
        missing: why the first request without a reply has none, if that keeps the record waiting.
    """

    fields: Mapping[str, Any]
    keys: tuple[str, ...]
    received_at: str
    missing: Reply | None = None


def follow(
    further: FollowUp, cases: Iterable[Case], ask: Callable[[Mapping[str, Pending]], Heard]
) -> Iterator[tuple[Case, Added]]:
    """
    Yield what a follow-up adds to each case; one whose company no reply names is absent.

    Args:
        further: the follow-up.
        cases: of contacts that its provider knows.
        ask: called for the companies, and then for the further pages of those that have such.
    """
    waiting: dict[str, list[Case]] = {}
    subjects: dict[str, Request] = {}
    for case in cases:
        subject = further.choose_input(case.replies[further.name])
        if subject is not None:
            key = further.request_key(subject)
            subjects[key] = Request(key, subject)
            waiting.setdefault(key, []).append(case)
    first = ask({key: Pending(request, tuple(waiting[key])) for key, request in subjects.items()})
    pages: dict[str, list[str]] = {key: [key] for key in subjects}
    later: dict[str, Pending] = {}
    for key, known in first.known.items():
        for page in further.further_pages(subjects[key].lookup_input, known.body):
            request = Request(further.request_key(page), page)
            pages[key].append(request.key)
            later[request.key] = Pending(request, tuple(waiting[key]))
    rest = ask(later) if later else Heard()
    replies = first.known | rest.known
    missing = {} if first.withheld or rest.withheld else first.missing | rest.missing
    for key, keys in pages.items():
        added = _added([replies[one] for one in keys if one in replies])
        lacks = next((one for one in keys if one not in replies), "")
        for case in waiting[key]:
            yield case, Added(*added, missing.get(lacks))


def _added(replies: list[Known]) -> tuple[Mapping[str, Any], tuple[str, ...], str]:
    fields = unite(one.reading.fields for one in replies if one.reading.outcome in ENRICHED)
    return fields, tuple(one.key for one in replies), max((one.received_at for one in replies), default="")
