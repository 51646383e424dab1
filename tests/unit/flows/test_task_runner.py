"""Which task runner a run gets, by the settings of the moment at which it starts."""

import sys

import pytest
from prefect.task_runners import ThreadPoolTaskRunner
from prefect_dask.task_runners import DaskTaskRunner

from blocks.settings import load_settings
from enrichment.errors import ConfigurationError
from flows.enrich_contacts import enrich_contacts
from flows.task_runner import other_processes


def test_threads_are_the_default() -> None:
    """Without a setting a run works in its own process, with threads enough for every chunk in flight."""
    runner = enrich_contacts.task_runner.duplicate()
    assert isinstance(runner, ThreadPoolTaskRunner)
    assert runner == enrich_contacts.task_runner
    assert other_processes(load_settings()) == 0


def test_a_cluster_of_its_own_is_closed_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many processes as the setting says, on this machine only, behind certificates that live as long as the run."""
    monkeypatch.setenv("ENRICHMENT_TASK_RUNNER", "dask")
    monkeypatch.setenv("ENRICHMENT_DASK_WORKERS", "3")
    runner = enrich_contacts.task_runner.duplicate()
    assert isinstance(runner, DaskTaskRunner)
    assert runner.cluster_kwargs["n_workers"] == 3
    assert runner.cluster_kwargs["security"]
    assert runner.address is None


def test_a_cluster_elsewhere_is_used_by_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an address nothing is started here."""
    monkeypatch.setenv("ENRICHMENT_TASK_RUNNER", "dask")
    monkeypatch.setenv("ENRICHMENT_DASK_ADDRESS", "tls://10.0.0.5:8786")
    runner = enrich_contacts.task_runner.duplicate()
    assert (runner.address, runner.cluster_kwargs) == ("tls://10.0.0.5:8786", {})


def test_a_missing_extra_says_which_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dask is asked for without its library: the run starts, and ends with the extra and the way around it."""
    monkeypatch.setenv("ENRICHMENT_TASK_RUNNER", "dask")
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    monkeypatch.delitem(sys.modules, "flows.cluster", raising=False)
    assert not isinstance(enrich_contacts.task_runner.duplicate(), DaskTaskRunner)
    with pytest.raises(ConfigurationError, match="--extra dask`"):
        other_processes(load_settings())


def test_an_unknown_runner_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt setting names the variable and what is allowed."""
    monkeypatch.setenv("ENRICHMENT_TASK_RUNNER", "ray")
    with pytest.raises(ConfigurationError, match=r"ENRICHMENT_TASK_RUNNER: .*'threads' or 'dask'"):
        load_settings()
