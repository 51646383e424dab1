"""The weekly review over contacts that went through a run: likely causes, owners and sources, edits, and the list."""

import csv
import io
import json
from pathlib import Path

from typer.testing import CliRunner

import cli
from tests.cases.chain import Chain
from tests.cases.test_without_server import enrich, prefect_home

__all__ = ["prefect_home"]


def live_through(chain: Chain) -> list[str]:
    """Run five contacts that are found, and three that aren't: one mistyped, one private, one of a known company."""
    found = [f"hit+p{number}@firm.example" for number in range(5)]
    people = [{"email": email, "hubspot_owner_id": "7", "hs_analytics_source": "OFFLINE"} for email in found]
    missed = ("miss+p1@firm.exampel", "miss+p2@gmail.com", "miss+p3@firm.example")
    people += [{"email": email, "hubspot_owner_id": "8", "hs_analytics_source": "REFERRALS"} for email in missed]
    ids = list(chain.world.hubspot.create(people))
    enrich("stage", "--ids", ",".join(ids))
    enrich("run")
    return ids


def test_the_review_says_what_is_likely_wrong_who_owns_it_and_what_people_changed(chain: Chain) -> None:
    """By ten calls to the CRM at most; what a person changed since is counted, and nothing shows an address."""
    ids = live_through(chain)
    chain.world.hubspot.edit(ids[0], {"company": "Their Own Ltd"})
    review = json.loads(enrich("review").stdout)
    causes = {group["cause"]: (group["records"], group["ids"]) for group in review["unmatched"]}
    assert causes == {"mistyped_domain": (1, [ids[5]]), "free_mail": (1, [ids[6]]), "NO_MATCH": (1, [ids[7]])}
    assert [(one["domain"], one["meant"]) for one in review["mistyped"]] == [("firm.exampel", "firm.example")]
    shares = {(one["by"], one["name"]): (one["contacts"], one["unmatched"]) for one in review["shares"]}
    assert shares == {
        ("queued by", "manual"): (8, 3),
        ("owner", "7"): (5, 0),
        ("owner", "8"): (3, 3),
        ("source", "OFFLINE"): (5, 0),
        ("source", "REFERRALS"): (3, 3),
    }
    edited = {one["field"]: (one["values"], one["edited"], one["example"]) for one in review["look"]["edited"]}
    assert edited == {"company": (5, 1, ids[0])}
    text = CliRunner().invoke(cli.app, ["review"]).stdout
    assert "firm.exampel" in text
    assert "miss+p" not in text + json.dumps(review)


def test_a_review_goes_without_a_crm_that_fails(chain: Chain) -> None:
    """The warehouse alone has most of it."""
    live_through(chain)
    chain.answer("hubspot", "properties", {"status": "error", "message": "no"}, status=401, times=0)
    review = json.loads(enrich("review").stdout)
    assert (review["look"], {one["by"] for one in review["shares"]}) == (None, {"queued by"})
    assert json.loads(enrich("review", "--sample", "0").stdout)["look"] is None


def test_what_is_to_be_reviewed_is_a_list_that_can_be_queued_again(chain: Chain, tmp_path: Path) -> None:
    """The file of the review, or of one cause, is taken by `enrich stage`; marked, the list is empty."""
    ids = live_through(chain)
    printed = CliRunner().invoke(cli.app, ["review", "--csv", "-"]).stdout
    rows = {row["crm_id"]: row for row in csv.DictReader(io.StringIO(printed))}
    assert sorted(rows) == sorted(ids[5:])
    assert (rows[ids[5]]["likely_domain"], rows[ids[5]]["reason"]) == ("firm.example", "NO_MATCH")
    file = tmp_path / "unmatched.csv"
    CliRunner().invoke(cli.app, ["unmatched", "--cause", "mistyped_domain", "--csv", str(file)])
    chain.world.hubspot.edit(ids[5], {"email": "hit+p9@firm.example"})
    assert json.loads(enrich("stage", "--csv", str(file)).stdout)["staged"] == 1
    enrich("run")
    assert chain.ends(ids[5]) == ["written"]
    assert sorted(row["contact"] for row in json.loads(enrich("unmatched").stdout)["items"]) == sorted(ids[6:])
    marked = CliRunner().invoke(cli.app, ["review", "--csv", str(file), "--mark"])
    assert "unmatched contacts marked as reviewed" in marked.stderr
    assert json.loads(enrich("unmatched").stdout)["items"] == []
