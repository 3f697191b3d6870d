"""A browser, and a college with its daemon for it to look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from .chromium import chromium
from .college import College, founded


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Chrome]:
    """A browser that has never been anywhere."""
    with chromium(tmp_path / "profile") as driver:
        yield driver


@pytest.fixture
def college(tmp_path: Path) -> Iterator[College]:
    """A college whose daemon has made its first run, which was stopped."""
    folder = tmp_path / "college"
    folder.mkdir()
    with founded(folder) as college, college.daemon():
        yield college
