"""A CSV file as the CRM, for those who have none."""

from blocks.crms.file.block import File

__all__ = ["File"]
