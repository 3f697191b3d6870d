"""What the machine in ``tests/model`` has found, told as plainly as it can be."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.core.guard import Limits
from syncd.errors import OneFileUnreachable
from syncd.simulator import Fault, FaultKind, LimiterShape, Switches
from syncd.simulator.models import User
from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store
from syncd.sync.context import Policy

from .college import ASSESSOR, LEARNER, Who
from .mortality import Killed, Moment
from .site import Site

TUTOR = Who(ASSESSOR, "A1")
ANN = Who(LEARNER, "1")

Founded = Callable[..., Site]


@pytest.fixture
def founded(tmp_path: Path, sqlite_url: str) -> Iterator[Founded]:
    """A college with a tutor and one learner, in step; leavers are archived at once."""
    with ExitStack() as stack:

        def found(**switches: Any) -> Site:
            store = Store(sqlite_url, ValueCipher())
            store.upgrade()
            store.close()
            policy = Policy(limits=Limits(floor=50), archives_leavers=True, grace=timedelta(), max_in_flight=1)
            site = Site(tmp_path, sqlite_url, Switches(limiter=LimiterShape.OFF, **switches), policy)
            stack.callback(site.close)
            for who in (TUTOR, ANN, Who(LEARNER, "2")):
                site.college.enrol(who)
            assert site.run().is_in_sync
            return site

        yield found


def _only_account(site: Site, who: Who) -> User:
    (account,) = site.witness.accounts_of(who)
    return account


def test_a_change_whose_answer_was_lost_and_that_was_taken_back_in_the_mis_is_taken_back_in_onefile(
    founded: Founded,
) -> None:
    site = founded()
    site.college.edit(ANN, surname="New")
    site.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*", times=3))
    assert site.run().in_doubt == 1

    site.college.edit(ANN, surname="Old")

    assert site.run().is_in_sync
    assert _only_account(site, ANN).values["LastName"] == "Old"
    assert site.run().calls == 0


def test_so_is_one_that_was_in_flight_when_the_process_was_killed(founded: Founded) -> None:
    site = founded()
    site.college.edit(ANN, surname="New")
    with pytest.raises(Killed):
        site.run(death=(Moment.DURING_CALL, 1))
    assert _only_account(site, ANN).values["LastName"] == "New"

    site.college.edit(ANN, surname="Old")

    assert site.run().is_in_sync
    assert _only_account(site, ANN).values["LastName"] == "Old"
    assert site.run().calls == 0


def test_a_refused_change_leaves_nothing_in_doubt(founded: Founded) -> None:
    site = founded()
    _only_account(site, ANN).is_archived = True
    site.college.edit(ANN, surname="New")
    assert site.run().refused == 1
    site.college.edit(ANN, surname="Old")

    assert site.run().is_in_sync
    assert site.onefile.journal.writes == []


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_somebody_who_returns_after_an_archiving_whose_answer_was_lost_is_brought_back(
    founded: Founded, kind: FaultKind
) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.onefile.faults.add(Fault(kind, path="/User/*/Archive", times=3))
    assert site.run().in_doubt == 1

    site.college.enrol(ANN)

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived
    assert site.run().calls == 0


def test_so_is_one_whose_archiving_was_in_flight_when_the_process_was_killed(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    with pytest.raises(Killed):
        site.run(death=(Moment.DURING_CALL, 1))
    assert _only_account(site, ANN).is_archived

    site.college.enrol(ANN)

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived


def test_an_archiving_whose_answer_was_lost_is_repeated_while_they_stay_away(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/*/Archive", times=3))
    assert site.run().in_doubt == 1

    assert site.run().is_in_sync
    assert _only_account(site, ANN).is_archived
    assert site.run().calls == 0


def test_somebody_who_leaves_again_while_it_is_not_known_whether_they_were_brought_back_is_archived(
    founded: Founded,
) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    site.onefile.faults.add(Fault(FaultKind.ERROR_AFTER, path="/User/*/Unarchive", times=3))
    assert site.run().in_doubt == 1

    site.college.withdraw(ANN)

    assert site.run().is_in_sync
    assert _only_account(site, ANN).is_archived


def test_nothing_is_said_to_somebody_whom_onefile_may_still_have_archived(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    site.college.edit(ANN, surname="New")
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/*/Unarchive", times=3))

    first = site.run()
    assert (first.refused, first.in_doubt) == (0, 1)

    assert site.run().is_in_sync
    assert _only_account(site, ANN).values["LastName"] == "New"


def test_a_create_that_was_sent_late_and_killed_is_looked_for_only_once_a_search_can_know(founded: Founded) -> None:
    site = founded(search_lag_seconds=45)
    newcomer = Who(LEARNER, "3")
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User", times=1, retry_after_seconds=60))
    with pytest.raises(Killed):
        # The search for the newcomer, the organisation, the create, and the create again.
        site.run(death=(Moment.DURING_CALL, 4))
    assert len(site.witness.accounts_of(newcomer)) == 1

    assert site.run().is_in_sync

    assert len(site.witness.accounts_of(newcomer)) == 1


def test_a_clock_that_was_set_back_makes_nobody_wait_longer_than_a_search_needs(founded: Founded) -> None:
    site = founded()
    site.college.enrol(Who(LEARNER, "3"))
    site.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    assert site.run().in_doubt == 1
    site.clocks.off = timedelta(days=-3)

    assert site.run().is_in_sync

    site.clocks.check_waits()


def test_an_account_made_by_hand_after_a_create_came_to_nothing_gets_what_the_mis_says(founded: Founded) -> None:
    site = founded()
    newcomer = Who(LEARNER, "3")
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User"))
    assert site.run().in_doubt == 1
    site.witness.make_by_hand(newcomer, {"MISID": "3", "FirstName": "Hand", "LastName": "Made"})

    assert site.run().is_in_sync

    assert _only_account(site, newcomer).values["LastName"] == "Old"


def test_somebody_who_is_not_brought_back_yet_does_not_count_as_back(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/*/Unarchive", times=3))
    assert site.run().in_doubt == 1

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived


def test_somebody_whom_onefile_refuses_to_bring_back_is_held(founded: Founded) -> None:
    site = founded(refuse_repeated_archiving=True)
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    _only_account(site, ANN).is_archived = False

    assert site.run().refused == 1
    assert site.listed().held == {ANN: {"refused"}}
    assert site.run().calls == 0


def test_a_change_that_may_be_done_is_in_doubt_though_its_repetition_found_onefile_gone(founded: Founded) -> None:
    site = founded()
    site.college.edit(ANN, surname="New")
    site.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User/*"), Fault(FaultKind.THROTTLE, times=None))
    with pytest.raises(OneFileUnreachable):
        site.run()
    assert _only_account(site, ANN).values["LastName"] == "New"
    site.onefile.faults.clear()

    site.college.edit(ANN, surname="Old")

    assert site.run().is_in_sync
    assert _only_account(site, ANN).values["LastName"] == "Old"
