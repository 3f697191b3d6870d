"""What the machine in ``tests/model`` has found, told as plainly as it can be."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import OneFileUnreachable
from syncd.simulator import Fault, FaultKind, LimiterShape, Switches
from syncd.simulator.models import User
from syncd.sync.context import Policy
from tests.support.guard import NO_LIMITS
from tests.support.stores import open_store

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
            open_store(sqlite_url).close()
            policy = Policy(
                limits=NO_LIMITS,
                longest_search_lag=timedelta(),
                archives_leavers=True,
                grace=timedelta(),
                max_in_flight=1,
            )
            site = Site(tmp_path, sqlite_url, Switches(limiter=LimiterShape.OFF, **switches), policy)
            stack.callback(site.close)
            for who in (TUTOR, ANN, Who(LEARNER, "2")):
                site.college.enrol(who)
            assert site.run(approved=True).is_in_sync
            return site

        yield found


def _only_account(site: Site, who: Who) -> User:
    (account,) = site.witness.accounts_of(who)
    return account


def test_lost_update_reverted_in_the_mis_is_reverted_in_onefile(
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
    assert [call.path for call in site.onefile.journal.writes] == [f"/User/{_only_account(site, ANN).id}/Unarchive"]


@pytest.mark.parametrize("kind", [FaultKind.DROP_AFTER, FaultKind.DROP_BEFORE])
def test_returner_is_unarchived_after_a_lost_archive_response(founded: Founded, kind: FaultKind) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.onefile.faults.add(Fault(kind, path="/User/*/Archive", times=3))
    assert site.run().in_doubt == 1

    site.college.enrol(ANN)

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived
    assert site.run().calls == 0


def test_returner_is_unarchived_after_a_kill_during_the_archive_call(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    with pytest.raises(Killed):
        site.run(death=(Moment.DURING_CALL, 1))
    assert _only_account(site, ANN).is_archived

    site.college.enrol(ANN)

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived


def test_archive_in_doubt_is_repeated_while_the_learner_stays_away(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/*/Archive", times=3))
    assert site.run().in_doubt == 1

    assert site.run().is_in_sync
    assert _only_account(site, ANN).is_archived
    assert site.run().calls == 0


def test_learner_leaving_while_the_unarchive_is_in_doubt_is_archived(
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


def test_update_of_a_returner_waits_while_the_unarchive_is_in_doubt(founded: Founded) -> None:
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


def test_killed_late_create_waits_for_the_search_lag_and_is_not_repeated(founded: Founded) -> None:
    site = founded(search_lag_seconds=45)
    newcomer = Who(LEARNER, "3")
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(FaultKind.THROTTLE, path="/User", times=1, retry_after_seconds=60))
    with pytest.raises(Killed):
        # The searches for the newcomer's MISID and names, the organisation, the create, and the create again.
        site.run(death=(Moment.DURING_CALL, 5))
    assert len(site.witness.accounts_of(newcomer)) == 1

    assert site.run().is_in_sync

    assert len(site.witness.accounts_of(newcomer)) == 1


def test_clock_set_back_never_lengthens_the_wait_for_a_search(founded: Founded) -> None:
    site = founded()
    site.college.enrol(Who(LEARNER, "3"))
    site.onefile.faults.add(Fault(FaultKind.DROP_AFTER, path="/User"))
    assert site.run().in_doubt == 1
    site.clocks.off = timedelta(days=-3)

    assert site.run().is_in_sync

    site.clocks.check_waits()


def test_account_made_by_hand_after_a_failed_create_gets_the_mis_values(founded: Founded) -> None:
    site = founded()
    newcomer = Who(LEARNER, "3")
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User"))
    assert site.run().in_doubt == 1
    (row,) = site.college.of(newcomer)
    site.witness.make_by_hand(newcomer, {"MISID": "3", "FirstName": row.human.forename, "LastName": "Made"})

    assert site.run().is_in_sync

    assert _only_account(site, newcomer).values["LastName"] == "Old"


def test_unarchive_in_doubt_that_was_not_applied_is_repeated(founded: Founded) -> None:
    site = founded()
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/*/Unarchive", times=3))
    assert site.run().in_doubt == 1

    assert site.run().is_in_sync
    assert not _only_account(site, ANN).is_archived


def test_refused_unarchive_of_an_active_account_counts_as_done(founded: Founded) -> None:
    site = founded(refuse_repeated_archiving=True)
    site.college.withdraw(ANN)
    site.run()
    site.college.enrol(ANN)
    _only_account(site, ANN).is_archived = False

    assert site.run().is_in_sync
    assert site.listed().held == {}
    assert site.run().calls == 0


def test_lost_change_stays_in_doubt_when_its_retry_is_throttled(founded: Founded) -> None:
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


@pytest.mark.parametrize("lost", [FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER])
@pytest.mark.parametrize("new", ["77", "Å 6"])
def test_person_whose_create_is_in_doubt_gets_no_second_account_under_another_misid(
    founded: Founded, new: str, lost: FaultKind
) -> None:
    site = founded()
    newcomer, renamed = Who(LEARNER, "3"), Who(LEARNER, new)
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(lost, path="/User"))
    assert site.run().in_doubt == 1
    site.college.rekey(newcomer, renamed)

    done = site.run()

    assert done.held == 1
    assert site.listed().held == {renamed: {"rekeyed?"}}
    site.witness.check_people(site.college.accounts_due_to)


def test_person_is_held_under_another_misid_while_their_create_stays_in_doubt(founded: Founded) -> None:
    site = founded(keychain=True)
    newcomer, renamed = Who(LEARNER, "3"), Who(LEARNER, "77")
    site.college.enrol(newcomer)
    # OneFile says yes without an id, and its search does not answer.
    site.onefile.faults.add(Fault(FaultKind.ERROR_BEFORE, path="/User/Search*", times=None, skip=2))
    with suppress(OneFileUnreachable):
        site.run()
    site.onefile.faults.clear()
    (account,) = site.witness.accounts_of(newcomer)
    assert newcomer in site.listed().in_doubt
    site.college.rekey(newcomer, renamed)
    misid, account.values["MISID"] = account.values["MISID"], "hidden"

    assert site.run(approved=True).held == 1
    assert site.listed().held == {renamed: {"in_doubt"}}

    account.values["MISID"] = misid
    site.run()
    assert site.listed().held == {renamed: {"rekeyed?"}}
    site.witness.check_people(site.college.accounts_due_to)


def test_person_whose_create_was_not_done_is_created_under_another_misid(founded: Founded) -> None:
    site = founded()
    newcomer, renamed = Who(LEARNER, "3"), Who(LEARNER, "77")
    site.college.enrol(newcomer)
    site.onefile.faults.add(Fault(FaultKind.DROP_BEFORE, path="/User"))
    assert site.run().in_doubt == 1
    site.college.rekey(newcomer, renamed)

    assert site.run().is_in_sync
    assert not site.witness.accounts_of(newcomer)
    _only_account(site, renamed)
