"""Makes our blocks, limits and work pool known to Prefect."""

from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate, WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, ObjectUnsupported
from prefect.workers.process import ProcessWorker

from blocks.base import DEFAULT_DOCUMENT, PipelineBlock, block_class, configure, module_names
from blocks.kinds import KINDS
from blocks.providers.block import provider_block_class
from blocks.providers.spec.model import spec_names
from enrichment.errors import ConfigurationError


def block_classes() -> list[type[PipelineBlock]]:
    """Return every block class whose client library is installed."""
    classes: list[type[PipelineBlock]] = [provider_block_class(name) for name in spec_names()]
    for package, kind in KINDS.items():
        for vendor in module_names(package):
            try:
                classes.append(block_class(package, vendor, kind))
            except ConfigurationError:  # the vendor's extra isn't installed
                continue
    return classes


def register_blocks() -> list[str]:
    """Register the block types with Prefect, so that its UI offers their forms; return their names."""
    classes = block_classes()
    for cls in classes:
        cls.register_type_and_schema()
    return [cls.get_block_type_name() for cls in classes]


def save_blocks(vendors: set[str]) -> list[str]:
    """
    Save the present configuration of these vendors as Prefect's default blocks; return their names.

    Secrets given by value are encrypted by Prefect; references to secret blocks stay references.
    """
    saved = []
    for cls in block_classes():
        if cls.vendor in vendors:
            configure(cls, "").save(DEFAULT_DOCUMENT, overwrite=True)
            saved.append(f"{cls.get_block_type_slug()}/{DEFAULT_DOCUMENT}")
    return saved


def make_limit(name: str, slots: int) -> bool:
    """Make a global concurrency limit if it is absent, and return whether it was; people may have changed its slots."""
    with get_client(sync_client=True) as client:
        try:
            client.read_global_concurrency_limit_by_name(name)
        except ObjectNotFound:
            client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))
            return True
    return False


def make_work_pool(name: str) -> bool:
    """
    Make a work pool for process workers if there is none of this name, and return whether it was made.

    One that a user made, of any type, is left as it is.
    """
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            template = ProcessWorker.get_default_base_job_template()
            pool = WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=template)
            try:
                client.create_work_pool(pool)
            except (ObjectAlreadyExists, ObjectUnsupported):  # made a moment ago; or Prefect Cloud's plan has none
                return False
            return True
    return False
