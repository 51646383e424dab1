"""What the blocks of listeners share."""

from typing import ClassVar

from blocks.base import PipelineBlock


class ListenerBlock(PipelineBlock):
    """Configuration of a listener."""

    kind: ClassVar[str] = "listener"
