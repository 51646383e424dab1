"""Specs are found, read, and refused with a message that says where and what is allowed."""

from pathlib import Path

import pytest

from blocks.providers.spec import model as spec_module
from blocks.providers.spec.model import load_spec, parse_spec, spec_names
from enrichment.errors import ConfigurationError

ZOOMINFO = (Path(spec_module.__file__).parents[1] / "specs" / "zoominfo.yaml").read_text("utf-8")
CARDFILE = Path(__file__).parents[2] / "integration" / "providers" / "specs"


def complaint(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_spec(text, "zoominfo.yaml")
    return str(caught.value)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), start=1) if part in line)


@pytest.mark.parametrize(
    ("right", "wrong", "path", "what"),
    [
        ("  - limit: 25\n", "  - limt: 25\n", "rate.windows.0.limt", "unknown key; known keys: limit, per_seconds, "),
        ("token_path:", "token_pth:", "auth.token_pth", "unknown key; known keys: kind, token_path, "),
        ("batch:\n", "bach:\n", "bach", "unknown key; known keys: id, title, "),
        ("outcome: partial", "outcome: found", "outcomes.item.7.outcome", "'matched', 'partial', 'unmatched'"),
        ("items: data\n", "items: data[]\n", "items", "'data[]' is a projection"),
        ("{path: jobTitle}", "{path: 'jobTitle['}", "fields.title.path", "bad JMESPath 'jobTitle['"),
        ("{path: jobTitle}", "{path: 5}", "fields.title.path", "a JMESPath expression in quotes is expected, not 5"),
        ("{path: city}", "{path: city, type: txt}", "fields.city.type", "city has the type text, not txt"),
        ("{path: city}", "{path: city, transform: web}", "fields.city.transform", "choose one of linkedin_handle, "),
        ("  industry:", "  industrie:", "fields.industrie", "unknown field 'industrie': did you mean 'industry'?"),
        ("  annual_revenue:", "  revenue:", "fields.revenue", "did you mean 'annual_revenue'?"),
        ("  industry:", "  zzz:", "fields.zzz", "choose one of company_name, "),
        ("unit: usd", "unit: eur", "fields.annual_revenue.unit", "choose one of usd, thousand_usd, million_usd"),
        (
            "{path: city}",
            "{path: city, unit: usd}",
            "fields.city.unit",
            "city can't be converted from 'usd': leave the ",
        ),
        ("unit: percent", "unit: stars", "confidence.unit", "choose one of percent, tenth, fraction"),
        ("unit: percent", "type: text", "confidence.type", "confidence has the type number, not text"),
        ("  tech_stack: {path", "  tech_stak: {path", "follow_ups.0.fields.tech_stak", "did you mean 'tech_stack'?"),
        ("starts_with(item", "starts(item", "outcomes.item.4.when", "unknown JMESPath function starts()"),
        ("== `406`", "== null", "outcomes.response.5.when", "write the literal as `null`"),
        ("== `406`", "== '406'", "outcomes.response", "a status is a number, as in status == `402`"),
        ("{path: city}", "city", "fields.city", "such as {key: value}; known keys: path, "),
        ("charge_on: [matched, partial]", "charge_on: matched", "credits.charge_on", "a list is expected, such as "),
        ("path: data/v1/contacts/enrich", "path: v1/$email", "request.path", "a path has no placeholders"),
        ("status == `406`", "stats == `406`", "outcomes.response", "sees only body, headers, status, not stats"),
        ("record_id: item.id", "record_id: id", "record_id", "sees only item, not id"),
        ("$output_fields", "$fields", "request.body", "unknown placeholder $fields; known are $items, "),
        ("  max: 25", "  max: lots", "batch.max", "valid integer"),
        ("kind: oauth2_client_credentials", "kind: oauth3", "auth", "'header', 'bearer', 'basic', 'query', "),
        ("  echo: meta.input\n", "", "correlate", "by: echo needs the key echo"),
        ("format: epoch_s", "format: epoch", "rate.reset.format", "'epoch_s', 'iso8601' or 'delta_s'"),
    ],
)
def test_an_error_says_where_and_what_is_allowed(right: str, wrong: str, path: str, what: str) -> None:
    """The message names the file, the key's path, the line, and what may stand there."""
    assert right in ZOOMINFO
    lines = complaint(ZOOMINFO.replace(right, wrong, 1)).splitlines()
    found = [line for line in lines if line.startswith(f"zoominfo.yaml: {path}: ")]
    assert found
    assert what in found[0]
    assert "(line " in found[0]


def test_the_line_is_that_of_the_key() -> None:
    """The line that a message names is where the wrong key stands in the file."""
    text = ZOOMINFO.replace("  max: 25", "  mx: 25")
    assert f"(line {line_of(text, '  mx: 25')})" in complaint(text)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("id: [", "zoominfo.yaml: not valid YAML: "),
        (f"{ZOOMINFO}\ntitle: Again\n", "zoominfo.yaml: not valid YAML: the key 'title' is there a second time"),
        (ZOOMINFO.replace("  max: 25", "  max: 25\n  max: 5"), "the key 'max' is there a second time"),
        ("? [a, b]\n: c", "zoominfo.yaml: not valid YAML: "),
        ("a: &a [*a]", "zoominfo.yaml: base_url: this key is missing"),
        ("1: a\n'1': b", "zoominfo.yaml: base_url: this key is missing"),
        (ZOOMINFO.replace("matchPersonInput: $items", "matchPersonInput: $item"), "needs `$items` in request.body"),
        ("", "zoominfo.yaml: the spec: "),
        ("- a\n- b", "zoominfo.yaml: the spec: "),
        ("id: zoominfo", "zoominfo.yaml: base_url: this key is missing"),
        (ZOOMINFO.replace("items: data\n", ""), "batch.max above 1 needs the key items"),
        (ZOOMINFO.replace("    email: emailAddress\n", ""), "request.inputs lacks names that min_input uses: email"),
    ],
)
def test_what_is_not_a_spec_is_refused(text: str, what: str) -> None:
    """Text that isn't YAML, isn't a mapping or lacks keys is reported in the same way."""
    assert what in complaint(text)


def test_every_complaint_comes_at_once() -> None:
    """Two mistakes take one round to fix, not two."""
    text = ZOOMINFO.replace("  max: 25", "  mx: 25").replace("token_path:", "token_pth:")
    assert {"batch.mx", "auth.token_pth"} <= {line.split(": ")[1] for line in complaint(text).splitlines()}


def test_an_unknown_provider_lists_those_found() -> None:
    """A typing mistake in a provider's name is answered with the names that would have worked."""
    with pytest.raises(ConfigurationError, match=r"unknown provider 'zoomifno': choose one of .*zoominfo"):
        load_spec("zoomifno")


@pytest.mark.parametrize("name", ["../zoominfo", "", "ZOOMINFO", "zoominfo.yaml"])
def test_a_name_is_not_a_path(name: str) -> None:
    """Only names of specs are taken."""
    with pytest.raises(ConfigurationError, match="unknown provider"):
        load_spec(name)


def test_a_provider_is_added_by_a_file_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec in the user's folder is found beside the packaged ones."""
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(CARDFILE))
    assert {"cardfile", "zoominfo"} <= set(spec_names())
    assert load_spec("cardfile").title == "Cardfile"


def test_a_file_of_ones_own_corrects_a_packaged_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A spec in the user's folder goes before the packaged one of the same name."""
    (tmp_path / "zoominfo.yaml").write_text(ZOOMINFO.replace("title: ZoomInfo", "title: Mine"), "utf-8")
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path))
    assert load_spec("zoominfo").title == "Mine"


def test_a_folder_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong folder is an error, not an empty one."""
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path / "absent"))
    with pytest.raises(ConfigurationError, match=r"ENRICHMENT_PROVIDER_DIR is '.*absent', which is not a folder"):
        spec_names()


def test_a_spec_is_known_by_its_files_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The id must equal the file's name, since it is part of the journal's keys."""
    (tmp_path / "other.yaml").write_text(ZOOMINFO, "utf-8")
    monkeypatch.setenv("ENRICHMENT_PROVIDER_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError, match="id: is 'zoominfo', but must equal the file's name, 'other'"):
        load_spec("other")
