"""A command imports only what it uses: imports take most of the time of a short command."""

import os
import subprocess
import sys
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
#: What only a command needs that reads the configuration, a database or OneFile.
_OF_COMMANDS: Final = {
    "alembic",
    "apprise",
    "cryptography",
    "email_validator",
    "httpx",
    "pydantic_settings",
    "sqlalchemy",
    "starlette",
    "stamina",
    "structlog",
    "syncd.logs",
    "syncd.settings",
    "syncd.state",
    "syncd.sync",
}


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
    assert imported & (_OF_COMMANDS | {"rich"}) == set()
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
