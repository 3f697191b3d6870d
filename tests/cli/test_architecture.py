"""The page for newcomers is about the code that is there."""

import re
from pathlib import Path

from syncd.cli.commands import COMMANDS
from syncd.documentation import read

from .conftest import Syncd

_ROOT = Path(__file__).parents[2]
_PAGE = read("architecture")
_NAMED = set(re.findall(r"`((?:syncd|tests|migrations|config|pyproject)\b[\w./]*)`", _PAGE))


def test_every_path_that_the_architecture_page_names_exists() -> None:
    assert len(_NAMED) > 60
    assert {name for name in _NAMED if not (_ROOT / name).exists()} == set()


def test_no_folder_is_left_out() -> None:
    folders = {
        f"{above}/{each.name}"
        for above in ("syncd", "tests")
        for each in (_ROOT / above).iterdir()
        if (each / "__init__.py").exists()
    }
    assert folders - _NAMED == set()


def test_the_commands_that_it_names_are_there() -> None:
    commands = set(re.findall(r"`syncd (\w+)", _PAGE))
    assert commands <= COMMANDS.keys()


def test_it_is_read_in_ten_minutes_and_shown_by_the_program(syncd: Syncd) -> None:
    assert len(_PAGE.split()) < 2000
    shown = syncd("help", "architecture")
    assert (shown.exit, shown.stdout) == (0, f"{_PAGE}\n")
