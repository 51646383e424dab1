"""The mapping file: what it changes, and how mistakes in it are named."""

from pathlib import Path

import pytest

from blocks.crms.hubspot.contacts import DEFAULT_RULES, OUR_FIELDS
from blocks.crms.mapping import read_rules
from enrichment.errors import ConfigurationError
from enrichment.write_policy import FieldRule, Rule


def _read(tmp_path: Path, text: str) -> tuple[FieldRule, ...]:
    file = tmp_path / "mapping.yaml"
    file.write_text(text, encoding="utf-8")
    return read_rules(file, DEFAULT_RULES)


def test_without_a_file_the_default_holds() -> None:
    """The default fills blanks of standard fields and keeps our own up to date."""
    rules = {rule.field: rule for rule in read_rules(None, DEFAULT_RULES)}
    assert rules["company"] == FieldRule("company", "company_name", Rule.FILL_BLANK)
    assert rules["enr_enriched_at"] == FieldRule("enr_enriched_at", "received_at", Rule.ALWAYS, stamp=True)
    assert OUR_FIELDS.keys() <= rules.keys()


def test_the_file_is_laid_over_the_default_field_by_field(tmp_path: Path) -> None:
    """One entry changes one field; what isn't mentioned stays."""
    text = """
    - {field: industry, source: industry, rule: if_newer}
    - {field: enr_provider, source: provider, rule: never}
    - {field: my_size_band, source: employee_range, rule: always, stamp: true}
    """
    rules = {rule.field: rule for rule in _read(tmp_path, text)}
    assert rules["industry"].rule is Rule.IF_NEWER
    assert rules["enr_provider"].rule is Rule.NEVER
    assert rules["my_size_band"] == FieldRule("my_size_band", "employee_range", Rule.ALWAYS, stamp=True)
    assert len(rules) == len(DEFAULT_RULES) + 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fields: {}", "must be a list"),
        ("", "must be a list"),
        ("- [a", "not valid YAML"),
        ("- industry", "entry 1: must have the keys"),
        ("- {field: a, source: city, rule: always, kind: c}", "entry 1: unknown key 'kind'"),
        ("- {field: a, source: city, rule: always}\n- {source: city, rule: always}", "entry 2: field"),
        ("- {field: a, source: '', rule: always}", "entry 1: source"),
        (
            "- {field: a, source: contry, rule: always}",
            "entry 1: source: unknown field 'contry': did you mean 'country'?",
        ),
        ("- {field: a, source: revenue, rule: always}", "did you mean 'annual_revenue'?"),
        ("- {field: a, source: zzz, rule: always}", "choose one of company_name, "),
        ("- {field: a, source: city}", "entry 1: rule must be one of never"),
        ("- {field: a, source: city, rule: [always]}", "entry 1: rule must be one of never"),
        ("- {field: a, source: city, rule: always, stamp: often}", "entry 1: stamp"),
        (
            "- {field: a, source: city, rule: always}\n- {field: a, source: state, rule: always}",
            "entry 2: the field 'a'",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    """The message says which file, which entry and which key."""
    with pytest.raises(ConfigurationError) as caught:
        _read(tmp_path, text)
    assert "mapping.yaml" in str(caught.value)
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong path is said at once, not at the first write."""
    with pytest.raises(ConfigurationError, match=r"absent\.yaml can't be read"):
        read_rules(tmp_path / "absent.yaml", DEFAULT_RULES)
