"""What the report says of the CRM as a whole: its first profile and its latest, side by side."""

from collections.abc import Sequence
from itertools import groupby

from enrichment.profile import FIELD, KeptProfile, label_of, share_of
from enrichment.report import Chart, Point, Section, Step, Table

FIRST, LATEST = "first profile", "latest profile"


def profiled(profiles: Sequence[KeptProfile]) -> Section:
    """
    Return what the CRM held before and holds now.

    Args:
        profiles: the first and the latest of each CRM, in this order; at least one.
    """
    pairs = [list(of_crm) for _, of_crm in groupby(profiles, key=lambda one: one.crm)]
    says = " ".join(_said(pair) for pair in pairs)
    charts = [_chart(pair) for pair in pairs if len(pair) > 1]
    tables = [_table(pair) for pair in pairs]
    step = Step("enrich profile", "looks at the CRM again, and shows its vocabulary as well")
    return Section("profile", "The CRM as a whole", says, charts, tables, [step])


def _said(pair: Sequence[KeptProfile]) -> str:
    read = " and ".join(f"{one.read:,} of {one.contacts:,} contacts on {one.profiled_at[:10]}" for one in pair)
    return f"{pair[0].crm}: {read} were looked at; the figures are theirs."


def _chart(pair: Sequence[KeptProfile]) -> Chart:
    names = [name for name in _names(pair) if name.startswith(FIELD)]
    fields = {name: name.removeprefix(FIELD) for name in names}
    points = [
        Point(fields[name], series, one.counts.get(name, 0) / one.read)
        for name in names
        for series, one in zip((FIRST, LATEST), pair, strict=True)
        if one.read
    ]
    alt = "; ".join(f"{point.x}, {point.series}: {point.value:.0%}" for point in points)
    title = f"Contacts of {pair[0].crm} that have a value, by field"
    return Chart("change", title, alt, "share", points, list(fields.values()), [FIRST, LATEST])


def _table(pair: Sequence[KeptProfile]) -> Table:
    head = ("contacts with", *(one.profiled_at[:10] for one in pair))
    rows = [(label_of(name), *(share_of(one.counts.get(name, 0), one.read) for one in pair)) for name in _names(pair)]
    return Table(f"Contacts of {pair[0].crm}", head, rows)


def _names(pair: Sequence[KeptProfile]) -> list[str]:
    return list(dict.fromkeys(name for one in pair for name in one.counts))
