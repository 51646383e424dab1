"""What the blocks of listeners share."""

from blocks.base import PipelineBlock


class ListenerBlock(PipelineBlock):
    """Configuration of a listener."""
