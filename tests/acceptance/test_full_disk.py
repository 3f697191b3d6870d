"""Standard output that cannot be written to: a run is made all the same, and a command that only prints says so."""

import os
from pathlib import Path

import pytest

from tests.support.command import Exit, Syncd

pytestmark = [
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full"),
    pytest.mark.parametrize("mis", ["sqlite"], indirect=True),
]

_FULL = "Standard output cannot be written to: No space left on device."


def _onto(output: str, syncd: Syncd, *arguments: str) -> tuple[int, str]:
    """The exit code, and standard error but for its log."""
    with Path(output).open("wb") as out:
        done = syncd.run(*arguments, stdout=out)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    return done.returncode, "\n".join(lines)


@pytest.mark.slow
def test_run_onto_a_full_disk_is_made_and_its_exit_code_says_how(syncd: Syncd) -> None:
    waits = _onto("/dev/full", syncd, "sync")
    assert waits == (
        Exit.AWAITING_APPROVAL,
        f"{_FULL} What 'syncd sync' does is done all the same; the exit code says how.",
    )
    approved = _onto("/dev/full", syncd, "approve")
    assert approved[0] == Exit.IN_STEP
    sent = _onto("/dev/full", syncd, "sync")
    assert sent[0] == Exit.SOME_HELD
    assert syncd("status", "--json").json["accounts"]["Learner"] > 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=" ".join(command), marks=() if command[-1] == "--json" else pytest.mark.slow)
        for command in (
            ("status",),
            ("status", "--json"),
            ("held",),
            ("held", "--csv"),
            ("accounts",),
            ("accounts", "--json"),
            ("history", "--since", "2020-01-01"),
            ("plan",),
            ("doctor",),
            ("help", "reasons"),
        )
    ],
)
@pytest.mark.slow
def test_command_that_only_prints_fails_in_one_sentence(syncd: Syncd, command: tuple[str, ...]) -> None:
    assert syncd("sync").exit == Exit.AWAITING_APPROVAL
    assert _onto("/dev/full", syncd, *command) == (Exit.COULD_NOT_RUN, f"{_FULL} The output is incomplete.")


def test_reader_that_leaves_early_is_no_failure(syncd: Syncd) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out:
        done = syncd.run("sync", stdout=out)
    assert done.returncode == Exit.AWAITING_APPROVAL
    assert "Traceback" not in done.stderr
    assert "cannot be written" not in done.stderr
