"""The kinds of vendors, by the package in which they are found."""

from blocks.base import PipelineBlock
from blocks.crms.base import CrmBlock
from blocks.listeners.base import ListenerBlock
from blocks.notifiers.base import NotifierBlock
from blocks.warehouses.base import WarehouseBlock

#: Where the vendors are, but for the providers, each of which is a file.
KINDS: dict[str, type[PipelineBlock]] = {
    "blocks.crms": CrmBlock,
    "blocks.warehouses": WarehouseBlock,
    "blocks.notifiers": NotifierBlock,
    "blocks.listeners": ListenerBlock,
}
