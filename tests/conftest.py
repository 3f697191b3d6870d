"""What every folder has: real databases, logging that ends with each test, and how examples are looked for."""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.databases import mariadb_url, postgres_programs, postgres_server, postgres_url, sqlite_url

__all__ = ["mariadb_url", "postgres_programs", "postgres_server", "postgres_url", "sqlite_url"]

#: How fast a machine is says nothing about what is tested.
#: A gate is to say the same of the same code twice; new examples are looked for everywhere else.
settings.register_profile(
    "syncd",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
    max_examples=30,
    derandomize="CI" in os.environ,
)
#: The gate's stage of coverage asks for this one, with more examples of what the other tests of a folder have tried.
settings.register_profile("thorough", settings.get_profile("syncd"), max_examples=100)
settings.load_profile("syncd")


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Undo what a test has set up for logging.

    A command that runs in this process does so for the whole of it: with its level "warning", later tests would miss
    the events of lower levels.
    """
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level, level_of_syncd = root.handlers[:], root.level, logging.getLogger("syncd").level
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.getLogger("syncd").setLevel(level_of_syncd)
        logging.captureWarnings(capture=False)
