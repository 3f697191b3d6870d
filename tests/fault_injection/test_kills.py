"""A run is killed at every request and at every commit; whatever it was at, the next one makes good and no doubles."""

import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url

from .college import AtRequest, College
from .killing import AtCommit, commits, said

#: Of the two stores, with Keychain on and off, each has its run killed at every fourth request, before it and after it,
#: and at every eighth commit, on one side of it; none where another is. So a kill hits each request and each commit.
_REQUESTS: Final = 4
_COMMITS: Final = 8
#: Of the two stores, before and after, each has its undo killed at every fourth place, and none where another is.
_UNDOS: Final = 4
#: Enough for several calls at once, and each more has its run killed at nine more commits.
_PEOPLE: Final = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory where there is one: a kill is no power cut, and a disk only makes it slow."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="syncd-kills-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{folder / 'state.db'}"
    url = make_url(request.getfixturevalue("postgres_url"))
    return url.update_query_dict({"options": "-csynchronous_commit=off"}).render_as_string(hide_password=False)


@pytest.fixture(params=[False, True], ids=["keychain off", "keychain on"])
def college(request: pytest.FixtureRequest, folder: Path, state: str) -> College:
    return College(folder, state, keychain=request.param, people=_PEOPLE)


@pytest.fixture(params=[False, True], ids=["keychain off", "keychain on"])
def approved_college(request: pytest.FixtureRequest, folder: Path, state: str) -> College:
    """One whose guard lets nothing pass, and whose plan an operator has approved."""
    return College(folder, state, keychain=request.param, people=_PEOPLE, is_approved=True)


def _walk(college: College, kind: type[AtRequest | AtCommit], *, is_after: bool, places: slice) -> int:
    """Kill a run at each of these places, let the next one end, and look; gives how many were killed."""
    killed = 0
    college.prepare()
    with college.opened():
        assert college.sync() == 0, said(college.folder)
        college.assert_made_good("no kill")
        length = college.requests if kind is AtRequest else commits(college.folder)
    for number in range(1, length + 1)[places]:
        at = kind(number, is_after)
        with college.opened():
            exit_code = college.sync(at)
            # Threads and searches make a run a little longer or shorter than the one that was counted.
            assert exit_code in {-signal.SIGKILL, 0}, (at, said(college.folder))
            killed += exit_code == -signal.SIGKILL
            assert college.sync() == 0, (at, said(college.folder))
            college.assert_made_good(at)
    return killed


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_any_request_a_run_is_made_good_by_the_next(college: College, state: str, is_after: bool) -> None:
    first = 2 * state.startswith("postgresql") + college.keychain
    assert _walk(college, AtRequest, is_after=is_after, places=slice(first, None, _REQUESTS)) > 3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_any_commit_a_run_is_made_good_by_the_next(college: College, state: str, is_after: bool) -> None:
    first = 4 * is_after + 2 * state.startswith("postgresql") + college.keychain
    assert _walk(college, AtCommit, is_after=is_after, places=slice(first, None, _COMMITS)) > 5


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("college", "kind", "is_after"),
    [(True, AtRequest, True), (False, AtCommit, False)],
    indirect=["college"],
    ids=["request, keychain on", "commit, keychain off"],
)
def test_killed_here_or_there_a_run_is_made_good_by_the_next(
    college: College, kind: type[AtRequest | AtCommit], is_after: bool
) -> None:
    assert _walk(college, kind, is_after=is_after, places=slice(11, None, 70)) > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_any_request_an_approved_run_is_continued_by_the_next(
    approved_college: College, state: str, is_after: bool
) -> None:
    first = 2 * state.startswith("postgresql") + approved_college.keychain
    assert _walk(approved_college, AtRequest, is_after=is_after, places=slice(first, None, _REQUESTS)) > 3


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_killed_at_any_commit_an_approved_run_is_continued_by_the_next(
    approved_college: College, state: str, is_after: bool
) -> None:
    first = 4 * is_after + 2 * state.startswith("postgresql") + approved_college.keychain
    assert _walk(approved_college, AtCommit, is_after=is_after, places=slice(first, None, _COMMITS)) > 5


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize("approved_college", [False], indirect=True, ids=["keychain off"])
@pytest.mark.parametrize(("kind", "is_after"), [(AtRequest, True), (AtCommit, False)])
def test_killed_here_or_there_an_approved_run_is_continued_by_the_next(
    approved_college: College, kind: type[AtRequest | AtCommit], is_after: bool
) -> None:
    assert _walk(approved_college, kind, is_after=is_after, places=slice(11, None, 70)) > 0


def _walk_undo(college: College, kind: type[AtRequest | AtCommit], *, is_after: bool, places: slice) -> int:
    """Kill an undo at each of these places, and let the next run continue it; gives how many were continued."""
    continued = 0
    college.prepare_undo()
    with college.opened():
        assert college.undo() == 0, said(college.folder)
        assert college.is_undone
        length = college.requests if kind is AtRequest else commits(college.folder)
    for number in range(1, length + 1)[places]:
        at = kind(number, is_after)
        with college.opened():
            assert college.undo(at) in {-signal.SIGKILL, 0}, (at, said(college.folder))
            exit_code = college.sync()
            # It has not begun to send, and there is nothing to continue; or the changed records are held as undone.
            assert exit_code == (4 if college.is_undone else 0), (at, said(college.folder))
            continued += college.is_undone
            sent = Counter((call.path, str(call.body)) for call in college.simulator.journal.writes)
            twice = [call for call, times in sent.items() if times > 1 and "Search" not in call[0]]
            assert len(twice) <= (kind is AtRequest and not is_after), (at, twice)
    return continued


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", [AtRequest, AtCommit])
@pytest.mark.parametrize("college", [False], indirect=True, ids=["keychain off"])
def test_killed_anywhere_an_undo_is_continued_by_the_next_run(
    college: College, state: str, kind: type[AtRequest | AtCommit], is_after: bool
) -> None:
    first = 2 * is_after + state.startswith("postgresql")
    assert _walk_undo(college, kind, is_after=is_after, places=slice(first, None, _UNDOS)) > 3


@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize("college", [False], indirect=True, ids=["keychain off"])
@pytest.mark.parametrize(("kind", "is_after"), [(AtRequest, True), (AtCommit, False)])
def test_killed_here_or_there_an_undo_is_continued_by_the_next_run(
    college: College, kind: type[AtRequest | AtCommit], is_after: bool
) -> None:
    assert _walk_undo(college, kind, is_after=is_after, places=slice(-12, None, 7)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("state", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("kind", "is_after"), [(AtRequest, True), (AtCommit, False)])
def test_killed_while_an_action_is_suspended_a_run_is_continued_by_the_next(
    folder: Path, state: str, kind: type[AtRequest | AtCommit], is_after: bool
) -> None:
    college = College(folder, state, keychain=False, people=16, is_approved=True, seats=17)
    college.prepare()
    with college.opened():
        assert college.sync() == 4, said(college.folder)
        length = college.requests if kind is AtRequest else commits(college.folder)
    killed = 0
    for number in range(length // 2, length + 1, length // 5):
        at = kind(number, is_after)
        with college.opened():
            killed += college.sync(at) == -signal.SIGKILL
            # Those that are refused before the action is suspended are sent by the run after the one that resumes it.
            assert college.sync() == 4, (at, said(college.folder))
            college.add_seats()
            codes = [college.sync() for _ in range(2)]
            assert codes[-1] == 0, (at, codes, said(college.folder))
            college.assert_made_good(at)
    assert killed
