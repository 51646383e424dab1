"""How messages look where people read them."""

from enrichment.alerts import Concern
from enrichment.messages import Occasion, compose_alert, html_text, plain_text, slack_text

BODY = """2 contacts failed: R&D <b>
- contacts [101](https://app.example/c/101?a=1&b=2), [102](https://app.example/102)
run `enrich retry`"""


def test_slack_gets_its_own_links_and_escapes() -> None:
    """Only the three characters that Slack reads are escaped, and commands stay marked."""
    assert slack_text("R&D", BODY) == (
        "*R&amp;D*\n2 contacts failed: R&amp;D &lt;b&gt;\n"
        "- contacts <https://app.example/c/101?a=1&amp;b=2|101>, <https://app.example/102|102>\nrun `enrich retry`"
    )


def test_plain_text_has_each_address_behind_its_words() -> None:
    """What a terminal or an old mail program shows."""
    assert "[" not in plain_text(BODY)
    assert "101 (https://app.example/c/101?a=1&b=2), 102 (https://app.example/102)" in plain_text(BODY)


def test_html_has_links_and_commands_and_nothing_else_of_the_text() -> None:
    """Whatever a value holds, it is text."""
    shown = html_text(BODY)
    assert '<a href="https://app.example/c/101?a=1&amp;b=2">101</a>' in shown
    assert "<code>enrich retry</code>" in shown
    assert "R&amp;D &lt;b&gt;<br>" in shown


def test_a_broken_promise_is_not_said_to_be_harmless() -> None:
    """The message names what the audit found, and doesn't promise that nothing is lost."""
    found = Concern(
        "broken_promise", text="the audit found broken promises (nothing_lost): `enrich audit` shows the ids"
    )
    alert = compose_alert([found], [found], {}, Occasion("audit"))
    assert alert is not None
    assert (alert.kind, alert.subject) == ("broken_promise", "Contact enrichment: the audit found a problem")
    assert found.text in alert.body
    assert "Nothing is lost" not in alert.body
