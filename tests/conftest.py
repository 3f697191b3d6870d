"""What every folder has: real databases, and how examples are looked for."""

import os

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
    derandomize="CI" in os.environ,
)
settings.load_profile("syncd")
