"""Property tests run the same examples everywhere, and no slow machine fails them."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")
