"""The README and "Getting started", followed to the letter on a bare machine: ``<!-- run -->`` marks what is run.

What is marked ``<!-- shows -->`` is compared with what that has printed; a moment is any moment.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import copy2

import pytest

from syncd.documentation import FOLDER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_CHECKOUT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^<!-- (run|shows) -->\n```\w+\n(.+?)^```", re.DOTALL | re.MULTILINE)
_MOMENT = re.compile(r"\d\d? \w{3} \d{4}(,? \d\d:\d\d(:\d\d)?)?")
#: What stands for something that is left out.
_LEFT_OUT = re.compile(r"\s*(…|\(.*later\))\s*")


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    """What a stranger gets, and nothing that has been made since."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_CHECKOUT, capture_output=True, text=True, check=True)
    clone = tmp_path / "syncd"
    for name in filter(None, listed.stdout.split("\0")):
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        copy2(_CHECKOUT / name, clone / name)
    return clone


def _blocks() -> Iterator[tuple[str, str]]:
    for page in (_CHECKOUT / "README.md", FOLDER / "getting-started.md"):
        yield from _BLOCK.findall(page.read_text(encoding="utf-8"))


def test_readme_commands_print_what_the_readme_shows(fresh_clone: Path) -> None:
    blocks = list(_blocks())
    assert {"run", "shows"} == {kind for kind, _ in blocks}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    # So wide that no table of it is broken.
    environment |= {"COLUMNS": "120"}
    printed = ""
    for kind, content in blocks:
        if kind == "run":
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", content],
                cwd=fresh_clone,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=600,
            )
            assert done.returncode == 0, f"{content}\n{done.stdout}\n{done.stderr}"
            printed = done.stdout
        else:
            _assert_shown(content, printed)


def _assert_shown(block: str, printed: str) -> None:
    lines = iter([_without_moments(line) for line in printed.splitlines()])
    for line in filter(str.strip, block.splitlines()):
        if not _LEFT_OUT.fullmatch(line):
            assert _without_moments(line) in lines, f"{line!r} is not printed, or not there:\n{printed}"


def _without_moments(line: str) -> str:
    return " ".join(_MOMENT.sub("<moment>", line).split())
