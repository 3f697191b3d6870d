"""A command imports only what it uses: imports take most of the time of a short command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from syncd.cli.commands import COMMANDS

_MAIN: Final = """
import sys
from syncd.__main__ import main
sys.argv[0] = "syncd"
try:
    main()
finally:
    print(*sys.modules, file=sys.__stderr__)
"""
#: What status does not use, with a store that is not encrypted.
_OF_RUNS: Final = {
    "alembic",
    "apprise",
    "argon2",
    "cryptography",
    "email_validator",
    "httpx",
    "jinja2",
    "rich.console",
    "starlette",
    "stamina",
    "structlog",
}
#: What a command uses, and a list of the commands does not.
_OF_COMMANDS: Final = (_OF_RUNS - {"rich.console"}) | {
    "pydantic_settings",
    "sqlalchemy",
    "syncd.logs",
    "syncd.settings",
    "syncd.state",
    "syncd.sync",
}
_CONFIGURATION: Final = """
[onefile]
base_url = "http://127.0.0.1:9/api/v2.1"
organisation_id = 5740
[source]
url = "sqlite:///mis.db"
[[feeds]]
name = "learners"
role = "Learner"
query = "SELECT 1"
"""


def _imported(*arguments: str, **variables: str) -> set[str]:
    """The modules that a process has imported at the end of a command."""
    ended = subprocess.run(
        [sys.executable, "-c", _MAIN, *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ended.stdout
    return set(ended.stderr.splitlines()[-1].split())


def test_version_imports_neither_commands_nor_what_they_use() -> None:
    imported = _imported("--version")
    assert imported & (_OF_COMMANDS | {"rich.console"}) == set()
    assert imported & {f"syncd.cli.{listed.module}" for listed in COMMANDS.values()} == set()


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["--help"], {}),
        ([], {"_SYNCD_COMPLETE": "complete_bash", "COMP_WORDS": "syncd s", "COMP_CWORD": "1"}),
    ],
    ids=["--help", "completion"],
)
def test_lists_of_commands_import_none_of_them(arguments: list[str], variables: dict[str, str]) -> None:
    imported = _imported(*arguments, **variables)
    assert imported & _OF_COMMANDS == set()
    assert imported & {f"syncd.cli.{listed.module}" for listed in COMMANDS.values()} == set()


def test_status_imports_nothing_that_only_runs_use(tmp_path: Path) -> None:
    file = tmp_path / "syncd.toml"
    file.write_text(_CONFIGURATION, encoding="utf-8")
    variables = {"SYNCD_CONFIG": str(file), "SYNCD_ONEFILE__CUSTOMER_TOKEN": "t"}
    assert "alembic" in _imported("db", "upgrade", **variables)
    imported = _imported("status", **variables)
    assert "syncd.state.views.status" in imported
    assert imported & _OF_RUNS == set()
