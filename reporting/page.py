"""The page: one HTML file with everything in it. What comes from tables is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from enrichment.report import Chart, Report
from reporting.charts import colour, draw


def render(report: Report) -> str:
    """Return the report as HTML."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"drawn": _drawn, "colour": colour}
    return environment.get_template("report.html.jinja").render(report=report)


def _drawn(chart: Chart) -> Markup:
    return Markup(draw(chart))  # noqa: S704 - the drawing library escapes the texts of its SVG
