"""The image, built once outside a container from the Dockerfile's own lines."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.dockerfile import Image, build


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """Give what a container of the image would find; its folder goes afterwards, since it is large."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))
    try:
        yield build(folder)
    finally:
        shutil.rmtree(folder)
