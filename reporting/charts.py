"""
Charts as inline SVG.

Colours are the page's own CSS variables and `currentColor`, so that one drawing serves light, dark and printed pages. A
chart is drawn as wide as a small telephone's screen, so that its letters stay readable there.
"""

import json
import re
from collections.abc import Mapping
from datetime import date
from html import escape
from typing import Any

import altair as alt
import vl_convert

from enrichment.report import Chart

_WIDTH, _HEIGHT, _ROW = 280, 150, 26
#: How many colours the page defines.
_COLOURS = 8
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3]]
_FORMATS = {"share": "%", "number": "~s", "minutes": ",.2~f"}
#: One description for the whole chart, and a table beside it, say more than a role of each mark.
_MARK_ROLES = re.compile(r" (?:role=\"graphics-[a-z]+\"|aria-[a-z]+=\"[^\"]*\")")
_OPENING = re.compile(r"<svg[^>]*?(viewBox=\"[^\"]*\")[^>]*>")


def draw(chart: Chart) -> str:
    """Return the chart as an `svg` element without its legend, with its description for who can't see it."""
    values = [{"x": one.x, "label": _label(one.x), "series": one.series, "value": one.value} for one in chart.points]
    base = alt.Chart(alt.InlineData(values=values))
    drawn: Any = _SHAPES[chart.kind](base, chart)
    svg = _MARK_ROLES.sub("", vl_convert.vegalite_to_svg(drawn.configure(**_LOOK).to_dict()))
    return _OPENING.sub(lambda found: _opening(found[1], f"{chart.title}. {chart.alt}"), svg, count=1)


def colour(place: int) -> str:
    """Return the colour of a chart's series, by its place."""
    return f"var(--series-{place % _COLOURS + 1})"


def _opening(view_box: str, description: str) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view_box} role="img" aria-label="{escape(description)}">'


def _label(place: str) -> str:
    """Return a week as people write its Monday, and any other place as it is."""
    try:
        return f"{date.fromisoformat(place):%-d %b}"
    except ValueError:
        return place


def _bars(base: Any, chart: Chart) -> Any:
    place = f"indexof({json.dumps(list(chart.series))}, datum.series)"
    marks = base.mark_bar().encode(
        x=_weeks(chart),
        y=_values(chart, alt.Y("sum(value):Q")),
        color=_colours(chart),
        order=alt.Order("place:Q"),
    )
    return marks.transform_calculate(place=place).properties(**_SIZE)


def _lines(base: Any, chart: Chart) -> Any:
    dashes = alt.Scale(domain=list(chart.series), range=[_DASHES[at % 4] for at in range(len(chart.series))])
    marks = base.mark_line(point={"size": 26, "filled": True}, strokeWidth=2).encode(
        x=_weeks(chart),
        y=_values(chart, alt.Y("value:Q")),
        color=_colours(chart),
        strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=None),
    )
    return marks.properties(**_SIZE)


def _change(base: Any, chart: Chart) -> Any:
    rows = alt.Y("x:N", sort=list(chart.places), title=None, axis=alt.Axis(labelLimit=150))
    share = alt.Axis(format="%", tickCount=3)
    joined = base.mark_line(strokeWidth=3, opacity=0.5, color="currentColor").encode(
        x=alt.X("value:Q", title=None, axis=share, scale=alt.Scale(domain=[0, 1])), y=rows, detail="x:N"
    )
    shapes = alt.Scale(domain=list(chart.series), range=["circle", "square"])
    marks = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("value:Q", title=None),
        y=rows,
        color=_colours(chart),
        shape=alt.Shape("series:N", scale=shapes, legend=None),
    )
    return (joined + marks).properties(width=190, height=_ROW * len(chart.places))


def _weeks(chart: Chart) -> Any:
    order = [_label(place) for place in chart.places]
    axis = alt.Axis(labelAngle=0, labelOverlap="greedy", labelSeparation=14)
    return alt.X("label:O", title=None, axis=axis, scale=alt.Scale(domain=order))


def _values(chart: Chart, channel: Any) -> Any:
    axis = alt.Axis(format=_FORMATS[chart.unit], tickCount=4)
    scale = alt.Scale(domain=[0, 1]) if chart.unit == "share" else alt.Scale(zero=True)
    return channel.title(None).axis(axis).scale(scale)


def _colours(chart: Chart) -> Any:
    names = list(chart.series)
    scale = alt.Scale(domain=names, range=[colour(place) for place in range(len(names))])
    return alt.Color("series:N", scale=scale, legend=None)


_SHAPES = {"bars": _bars, "lines": _lines, "change": _change}
_SIZE = {"width": _WIDTH, "height": _HEIGHT}
_LOOK: Mapping[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": "system-ui, sans-serif",
    # Letters are measured in another font than the reader's, which may be wider.
    "padding": {"left": 26, "right": 16, "top": 6, "bottom": 4},
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "labelFontSize": 12,
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
    },
    "axisX": {"grid": False},
}
