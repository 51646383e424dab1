"""Where a run's chunks are worked on: in threads of its own process, or by the workers of a Dask cluster."""

from typing import Any

from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.settings import Settings, load_settings
from enrichment.errors import ConfigurationError, TransientError


class RunnerOfChoice(ThreadPoolTaskRunner[Any]):
    """Threads, unless the settings name another runner at the moment when Prefect makes one for a run."""

    def duplicate(self) -> Any:
        """
        Return the run's own task runner; threads if the settings are wrong.

        Prefect asks for it before a run is at work, when an error would leave the run pending; `other_processes` raises
        the same error where it ends the run.
        """
        try:
            settings = load_settings()
            return _dask_runner(settings) if settings.task_runner == "dask" else super().duplicate()
        except ConfigurationError:
            return super().duplicate()


def other_processes(settings: Settings) -> int:
    """
    Return how many other processes may work for the present run at once; 0 if its own threads do all the work.

    A chunk is one process's work, so no more processes are busy than chunks are in flight. A cluster may have grown
    beyond the setting, or not yet grown up to it: the higher number is the safe one to share the rate by.

    Raises:
        ConfigurationError: the library of the cluster isn't installed.
        TransientError: the cluster can't be reached, or didn't start.
    """
    if settings.task_runner == "threads":
        return 0
    runner: Any = getattr(FlowRunContext.get(), "task_runner", None)
    if not hasattr(runner, "client"):
        _dask_runner(settings)
    try:
        workers = len(runner.client.nthreads())
    except (OSError, TimeoutError, RuntimeError) as error:
        where = f"at {settings.dask_address} can't be reached" if settings.dask_address else "didn't start"
        raise TransientError(
            f"the Dask cluster {where} ({type(error).__name__}): check ENRICHMENT_DASK_ADDRESS and its log, "
            "or choose ENRICHMENT_TASK_RUNNER=threads"
        ) from None
    return min(settings.chunks_in_flight, max(settings.dask_workers, workers))


def _dask_runner(settings: Settings) -> Any:
    from flows.cluster import chunk_cluster  # noqa: PLC0415 - needs an extra

    return chunk_cluster(settings)
