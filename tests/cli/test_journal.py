"""What systemd's journal gets on standard error: each line with its priority, which everything else is spared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SAY = """
import sys
from syncd import logs
log = logs.set_up(sys.argv[1], "debug")
log.debug("a")
log.info("b")
log.warning("c")
try:
    raise RuntimeError("one\\ntwo")
except RuntimeError:
    log.error("d", exc_info=sys.argv[1] == "console")
"""


def _said(*command: str, is_journal: bool, **environment: str) -> list[str]:
    """The lines on a standard error that is, or is not, the stream that JOURNAL_STREAM names."""
    reading, writing = os.pipe()
    found = os.fstat(writing)
    stream = f"{found.st_dev}:{found.st_ino if is_journal else found.st_ino + 1}"
    with os.fdopen(reading) as lines:
        subprocess.run(
            [sys.executable, *command],
            env={**os.environ, "JOURNAL_STREAM": stream, **environment},
            stderr=writing,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        os.close(writing)
        return lines.read().splitlines()


def test_each_json_line_has_its_priority_before_it() -> None:
    lines = _said("-c", _SAY, "json", is_journal=True)
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>"]
    assert [json.loads(line[3:])["event"] for line in lines] == ["a", "b", "c", "d"]


def test_every_line_of_one_that_has_several_has_it() -> None:
    lines = _said("-c", _SAY, "console", is_journal=True)
    assert len(lines) > 6
    assert [line[:3] for line in lines[:3]] == ["<7>", "<6>", "<4>"]
    assert {line[:3] for line in lines[3:]} == {"<3>"}


def test_the_error_that_a_command_ends_with_is_an_error_there_too(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.toml")
    (line,) = _said("-m", "syncd", "run", "--config", missing, is_journal=True)
    assert line.startswith("<3>")
    assert "missing.toml" in line


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_standard_error_that_is_not_the_journals_is_left_alone(format_: str) -> None:
    assert not [line for line in _said("-c", _SAY, format_, is_journal=False) if line.startswith("<")]


_REPEAT = """
import logging
from syncd import logs
log = logs.set_up("json", "info")
server, loop = logging.getLogger("uvicorn.error"), logging.getLogger("asyncio")
for number in range(2_345):
    server.warning("Invalid HTTP request received.")
    loop.error("socket.accept() out of system resource\\nsocket: %s", number)
server.warning("another")
for problem in (ValueError, KeyError):
    try:
        raise problem
    except Exception:
        server.exception("Exception in ASGI application")
for number in range(2_000):
    server.warning(f"client {number} is odd")
for _ in range(20):
    log.warning("poll_failed")
"""


def test_warning_that_a_library_repeats_is_logged_with_its_number() -> None:
    said = subprocess.run([sys.executable, "-c", _REPEAT], capture_output=True, text=True, check=True).stderr
    lines = [json.loads(line) for line in said.splitlines()]
    told = [(line["library"], line["message"], line.get("times", 1)) for line in lines if "library" in line]
    for library, message in (
        ("uvicorn.error", "Invalid HTTP request received."),
        ("asyncio", "socket.accept() out of system resource"),
    ):
        assert [times for *kind, times in told if kind == [library, message]] == [1, 10, 100, 1000]
    assert ("uvicorn.error", "another", 1) in told
    assert [line["exception"] for line in lines if "exception" in line] == ["ValueError", "KeyError"]
    # There may be a great many different ones, which count together from some number on.
    assert sum("is odd" in message for _, message, _ in told) < 1_010
    assert sum(line["event"] == "poll_failed" for line in lines) == 20
