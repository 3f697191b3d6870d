"""A college with a syncd, for those who upgrade it; and the image of syncd, built by a container engine."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.provider.fixtures import learners, mis, onefile, state, syncd

from .engine import Engine, engine
from .images import Images, prepare

__all__ = ["learners", "mis", "onefile", "state", "syncd"]

#: The image that the compose files name.
_IMAGE = "syncd"


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    """An engine whose store is empty at first."""
    # pytest would keep the folder, which takes gigabytes.
    with TemporaryDirectory(prefix="syncd-podman-", ignore_cleanup_errors=True) as folder, engine(Path(folder)) as it:
        yield it


@pytest.fixture(scope="session")
def images(podman: Engine) -> Iterator[Images]:
    """What images of syncd are built from."""
    with TemporaryDirectory(prefix="syncd-images-") as folder:
        yield prepare(podman, Path(folder))


@pytest.fixture(scope="session")
def image(images: Images) -> str:
    """The name of the image, built as a checkout's Dockerfile says."""
    images.build(_IMAGE)
    return _IMAGE
