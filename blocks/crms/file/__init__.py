"""A CSV file as the CRM, for users who have none."""

from blocks.crms.file.block import File

__all__ = ["File"]
