"""What 'syncd resync' says about the run that it asks for, with a daemon and without one."""

from collections.abc import Sequence
from contextlib import ExitStack

import pytest

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.lock import Purpose, locked
from syncd.state.db.store import Store
from tests.support.quiet import quiet_now

from .conftest import College, Syncd


def _waits(organisation: int) -> str:
    return (
        f"No daemon is running for organisation {organisation} on the state store sqlite:///syncd.db. The request "
        "waits for the next one, which makes the run when it starts: start 'syncd run'."
    )


@pytest.mark.parametrize("is_quiet", [False, True], ids=["", "quiet"])
@pytest.mark.parametrize("led", [(), (5740,), (5740, 5741)], ids=["no daemon", "one daemon", "two"])
def test_resync_says_when_the_run_starts_and_what_it_waits_for(
    college: College, syncd: Syncd, is_quiet: bool, led: Sequence[int]
) -> None:
    more = f'[schedule]\nquiet = ["{quiet_now()}"]\n' if is_quiet else ""
    college.configure(more, organisation_id="organisation_id = 5740\norganisations = [5741]")
    assert syncd("db", "upgrade").exit == 0
    with ExitStack() as stack:
        store = Store("sqlite:///syncd.db", ValueCipher())
        stack.callback(store.close)
        for each in led:
            stack.enter_context(locked(store, each, Purpose.LEADING))
        said = syncd("resync", *(["--misid", "L1001"] if is_quiet else []))
    assert (said.exit, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert [line for line in lines if line.startswith("No daemon")] == [
        _waits(each) for each in (5740, 5741) if each not in led
    ]
    assert any("within two seconds" in line for line in lines) is (bool(led) and not is_quiet)
    assert any("quiet window" in line for line in lines) is is_quiet
