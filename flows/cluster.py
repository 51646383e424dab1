"""The Dask cluster whose workers carry a run's chunks; imported only where one is asked for, since Dask is an extra."""

import logging
from typing import Any

from prefect.context import FlowRunContext
from prefect.results import ResultStore

from blocks.base import not_installed
from blocks.settings import Settings

try:
    import dask
    from prefect_dask.task_runners import DaskTaskRunner
except ImportError as error:
    raise not_installed("ENRICHMENT_TASK_RUNNER=dask", "prefect-dask", "dask") from error


class ChunkCluster(DaskTaskRunner):
    """
    Dask, whose workers import no more than a chunk needs.

    A task travels with its run's store of results. By default that names a block, and to find the block's class each
    worker imports every Prefect integration that is installed: 2.7 s of CPU and 100 MB. No result of ours is kept, so
    the store stays behind; a worker that needed one would find it by the same settings.
    """

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Submit a task of the present run."""
        run: Any = FlowRunContext.get()
        with run.model_copy(update={"result_store": ResultStore()}):
            return super().submit(*args, **kwargs)


def chunk_cluster(settings: Settings) -> ChunkCluster:
    """Return the cluster at the address that is set, or else one of the run's own on this machine."""
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    if settings.dask_address:
        return ChunkCluster(address=settings.dask_address)
    # Each process would look at all of its threads a hundred times a second, for a page that we don't show.
    dask.config.set({"distributed.worker.profile.enabled": False})
    return ChunkCluster(
        cluster_kwargs={
            "n_workers": settings.dask_workers,
            # One worker may have to carry what the others leave.
            "threads_per_worker": settings.chunks_in_flight,
            # A process that reaches the scheduler may run code in our name and read contacts, also on this machine.
            "security": True,
            "dashboard_address": "127.0.0.1:0",
        }
    )
