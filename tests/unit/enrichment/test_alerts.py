"""When people are told, and what they read."""

from itertools import product

import pytest

from enrichment.alerts import Cause, alert_kind, compose_alert, compose_version_notice
from enrichment.books import Books
from enrichment.records import Disposition

KINDS = ["failure_rate", "quota_exhausted", "credentials_rejected", "request_refused", "crashed"]
BOOKS = Books(1000, 15, {Disposition.WRITTEN: 965, Disposition.FAILED: 20})
CAUSES = [Cause("status_500", "look_up", 17, "101"), Cause("bad_value", "write_back", 3, "102")]
REPLAY = "enrich stage --failed"
STOP = "ZoomInfo: no credits are left"


def compose(kind: str, previous: str, stop: str = "") -> object:
    return compose_alert(
        kind, previous, run="flow run brave-otter (r1)", books=BOOKS, causes=CAUSES, stop=stop, replay=REPLAY
    )


@pytest.mark.parametrize(
    ("failed", "threshold", "stop_kind", "kind"),
    [
        (0, 0.01, "", ""),
        (10, 0.01, "", ""),
        (11, 0.01, "", "failure_rate"),
        (1, 0.0, "", "failure_rate"),
        (0, 0.0, "", ""),
        (1000, 1.0, "", ""),
        (0, 0.01, "quota_exhausted", "quota_exhausted"),
        (500, 0.01, "credentials_rejected", "credentials_rejected"),
        (500, 0.01, "crashed", "crashed"),
    ],
)
def test_people_are_told_above_the_threshold_or_of_a_stop(
    failed: int, threshold: float, stop_kind: str, kind: str
) -> None:
    """The threshold itself is still well, anything above is not, and a stop outranks both."""
    books = Books(1000, 0, {Disposition.FAILED: failed, Disposition.WRITTEN: 1000 - failed})
    assert alert_kind(books, threshold=threshold, stop_kind=stop_kind) == kind


def test_a_run_that_claimed_nothing_is_well() -> None:
    """No record, no failure, whatever the threshold."""
    assert alert_kind(Books(), threshold=0.0, stop_kind="") == ""


@pytest.mark.parametrize(("previous", "kind"), list(product(["", *KINDS], ["", *KINDS])))
def test_each_change_of_state_is_told_exactly_once(previous: str, kind: str) -> None:
    """A message goes out if the state changed, and none if it didn't."""
    alert = compose_alert(kind, previous, run="r", books=BOOKS, causes=CAUSES, stop="", replay=REPLAY)
    assert (alert is None) == (kind == previous)
    if alert:
        assert alert.kind == kind
        assert alert.subject
        assert "\n" not in alert.subject


@pytest.mark.parametrize(
    ("states", "told"),
    [
        (["", "", ""], []),
        (["failure_rate", "failure_rate", "failure_rate", ""], ["failure_rate", ""]),
        (["", "quota_exhausted", "quota_exhausted", "", ""], ["quota_exhausted", ""]),
        (["failure_rate", "crashed", "failure_rate", ""], ["failure_rate", "crashed", "failure_rate", ""]),
    ],
)
def test_a_row_of_runs_tells_each_trouble_once(states: list[str], told: list[str]) -> None:
    """A trouble that lasts is told once, and its end once."""
    alerts = [compose(kind, previous) for previous, kind in zip(["", *states], states, strict=False)]
    assert [alert.kind for alert in alerts if alert] == told  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
def test_an_alert_names_the_run_the_counts_and_the_causes(kind: str) -> None:
    """Whoever reads it knows which run, how many records, and why, without opening anything."""
    body = str(compose(kind, "").body)  # type: ignore[attr-defined]
    assert "brave-otter (r1)" in body
    assert "1,000 contacts taken from the queue, 985 finished, 15 back in the queue" in body
    assert "17 x status_500 at look_up" in body
    assert "3 x bad_value at write_back" in body


@pytest.mark.parametrize(
    ("kind", "subject", "mend"),
    [
        ("failure_rate", "Contact enrichment: 2.0% of 1,000 contacts failed", REPLAY),
        ("quota_exhausted", "Contact enrichment stopped: quota exhausted", "Raise the quota"),
        ("credentials_rejected", "Contact enrichment stopped: credentials rejected", "`enrich doctor`"),
        ("request_refused", "Contact enrichment stopped: request refused", "add the permission"),
        ("crashed", "Contact enrichment: part of a run failed unexpectedly", "flow run's log"),
    ],
)
def test_an_alert_says_what_happened_and_how_to_mend_it(kind: str, subject: str, mend: str) -> None:
    """The subject is the trouble; the last line is what to do."""
    alert = compose_alert(kind, "", run="r1", books=BOOKS, causes=CAUSES, stop="", replay=REPLAY)
    assert alert is not None
    assert alert.subject == subject
    assert mend in alert.body.splitlines()[-1]


def test_an_alert_of_a_stop_holds_the_other_side_s_words() -> None:
    """The reason of the stop stands between the counts and the causes; no blank line marks its absence."""
    with_stop, without = compose("quota_exhausted", "", STOP), compose("quota_exhausted", "")
    assert with_stop.body.splitlines()[2] == STOP  # type: ignore[attr-defined]
    assert "" not in without.body.splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("previous", KINDS)
def test_the_message_that_all_is_well_names_the_trouble_that_is_over(previous: str) -> None:
    """Recovery is told with the run's counts, and without a mend."""
    alert = compose("", previous, STOP)
    assert alert.kind == ""  # type: ignore[attr-defined]
    assert previous in alert.subject  # type: ignore[attr-defined]
    assert "1,000 contacts taken from the queue" in alert.body  # type: ignore[attr-defined]
    assert REPLAY not in alert.body  # type: ignore[attr-defined]


def test_a_new_api_version_is_told_with_both_versions() -> None:
    """The message names provider, both versions, the run and where to look; it is no failure."""
    notice = compose_version_notice("clearbit", ["2018-11-19"], ["2019-12-19"], run="flow run x (1)")
    assert notice.subject == "Contact enrichment: clearbit answers with API version 2019-12-19 instead of 2018-11-19"
    assert "flow run x (1)" in notice.body
    assert "match rate" in notice.body
