"""An incremental read finds what a full read finds, and parses few rows."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.plan import Plan
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import ConfigurationError, Interrupted
from syncd.state import feed_digests, held_records
from syncd.state.held_records import Selection
from syncd.sync import run
from syncd.sync.context import Feed, SyncContext
from syncd.sync.feeds import FeedReader
from syncd.sync.planner import GuardedPlan, make_plan
from tests.support.college import College, Found
from tests.support.guard import NO_LIMITS
from tests.support.onefile import ORGANISATION
from tests.support.sessions import session_on

_LEARNERS = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email", phone AS "Telephone",
           classroom AS "ClassroomName", placement AS "PlacementID", assessor AS "DefaultAssessorMISID"
    FROM person WHERE role IS NULL ORDER BY misid
"""
_STAFF = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email"
    FROM person WHERE role = 'Assessor' ORDER BY misid
"""


@pytest.fixture
def parsed_rows(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows were parsed, by feed."""
    counted: Counter[str] = Counter()
    parse = FeedReader.parse_rows

    def counting(reader: FeedReader[Any], *arguments: Any) -> Any:
        for each in parse(reader, *arguments):
            counted[reader.feed.name] += 1
            yield each

    monkeypatch.setattr(FeedReader, "parse_rows", counting)
    return counted


@pytest.fixture
def college(found: Found) -> College:
    college = found()
    college.add_columns("role")
    college.context = replace(
        college.context,
        feeds=(Feed("learners", Role.LEARNER, _LEARNERS), Feed("staff", Role.ASSESSOR, _STAFF)),
        policy=replace(college.context.policy, limits=NO_LIMITS),
        block_rows=3,
    )
    college.enrol("A1", forename="Siân", surname="Pryce", role="Assessor")
    college.enrol("A2", role="Assessor")
    college.enrol(*(f"L{number:02}" for number in range(30)))
    return college


def settle(college: College) -> None:
    """Run until all rows are remembered as unchanged: the rows that a run has sent are parsed once more by the next."""
    college.run()
    college.run()


def test_a_quiet_poll_parses_no_row_and_makes_no_call(college: College, parsed_rows: Counter[str]) -> None:
    settle(college)
    college.run()
    parsed_rows.clear()
    done = college.run()
    assert done.is_in_sync
    assert (done.unchanged, done.calls) == (32, 0)
    assert not parsed_rows


def test_a_quiet_poll_makes_few_statements_and_no_durable_commit(college: College) -> None:
    settle(college)
    college.run()
    statements, kinds = [], []
    engine = college.context.store.engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    event.listen(engine, "begin", lambda begun: kinds.append(begun.get_execution_options()["syncd_kind"].name))
    assert not college.run().calls
    assert len([each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]) <= 17
    # The first transaction looks for an undo that is to be continued.
    assert kinds == ["READING", "FLEETING", "READING", "READING", "READING", "FLEETING"]
    college.correct("L13", surname="Other")
    assert college.run().sent == 1
    assert "LASTING" in kinds


def test_after_an_edit_only_the_rows_beside_it_are_parsed(college: College, parsed_rows: Counter[str]) -> None:
    settle(college)
    college.run()
    parsed_rows.clear()
    college.correct("L13", surname="Other")
    done = college.run()
    assert (done.sent, done.unchanged) == (1, 31)
    assert parsed_rows["learners"] <= 6
    assert college.run().unchanged == 32


def test_after_an_edit_in_every_block_only_the_edited_rows_are_parsed(
    college: College, parsed_rows: Counter[str]
) -> None:
    settle(college)
    college.run()
    parsed_rows.clear()
    edited = [f"L{number:02}" for number in range(0, 30, 3)]
    for misid in edited:
        college.correct(misid, surname="Other")
    done = college.run()
    assert (done.sent, done.unchanged) == (len(edited), 32 - len(edited))
    assert parsed_rows["learners"] == len(edited)


def test_a_parsed_staff_row_does_not_supersede_a_learner_of_the_same_misid(college: College) -> None:
    college.enrol("A1")
    college.enrol("A3", "A3", role="Assessor")
    college.enrol("A3")
    settle(college)
    college.run()
    college.correct("L13", surname="Other")
    done = college.run()
    assert (done.sent, done.left, done.unchanged) == (1, 0, 33)


def test_a_held_record_stays_held_and_counted_without_being_parsed(college: College, parsed_rows: Counter[str]) -> None:
    college.enrol("L30", "L31", email=None)
    settle(college)
    college.run()
    parsed_rows.clear()
    done = college.run()
    assert (done.held, done.unchanged) == (2, 32)
    assert not parsed_rows
    assert college.held == {"L30": "missing", "L31": "missing"}


@pytest.mark.parametrize("event", ["a day", "a clock set back", "retry", "another query", "a changed staff record"])
def test_a_change_that_may_concern_every_row_causes_a_full_read(
    college: College, parsed_rows: Counter[str], event: str
) -> None:
    settle(college)
    college.run()
    parsed_rows.clear()
    match event:
        case "a day":
            college.clock.now += timedelta(days=1)
        case "a clock set back":
            college.clock.now -= timedelta(hours=1)
        case "retry":
            with college.context.store.begin() as connection:
                held_records.retry(session_on(connection, ORGANISATION, college.clock.now), Selection(["L01"]))
        case "another query":
            learners, staff = college.context.feeds
            college.context = replace(college.context, feeds=(replace(learners, query=learners.query + " "), staff))
        case _:
            college.correct("A2", surname="Other")
    college.run()
    assert parsed_rows["learners"] >= 30


def test_an_account_changed_during_a_run_discards_the_snapshot_of_the_run(
    college: College, parsed_rows: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(college)

    def changed_meanwhile(context: SyncContext, *arguments: Any, **options: Any) -> GuardedPlan:
        planned = make_plan(context, *arguments, **options)
        with context.store.begin() as connection:
            feed_digests.invalidate(session_on(connection, ORGANISATION))
        return planned

    college.correct("L01", surname="Other")
    monkeypatch.setattr(run, "make_plan", changed_meanwhile)
    college.run()
    monkeypatch.undo()
    with college.context.store.begin() as connection:
        assert feed_digests.remembered(session_on(connection, ORGANISATION, college.clock.now)).comparison_version == ""


def test_an_interrupted_run_leaves_no_snapshot(college: College) -> None:
    settle(college)
    college.correct("L01", surname="Other")
    college.clock.is_stopping = True
    with pytest.raises(Interrupted):
        college.run()
    with college.context.store.begin() as connection:
        assert feed_digests.remembered(session_on(connection, ORGANISATION, college.clock.now)).comparison_version == ""


def rename(college: College, old: str, new: str) -> None:
    college.execute("UPDATE person SET misid = :new WHERE misid = :old", {"new": new, "old": old})


def reenrol(college: College, misid: str) -> None:
    college.withdraw(misid)
    college.enrol(misid)


_EDITS: dict[str, Callable[[College, random.Random, str], None]] = {
    "rename": lambda college, chance, misid: college.correct(misid, surname=chance.choice(["Ashe", "Birch", "Cole"])),
    "remove the e-mail": lambda college, _chance, misid: college.correct(misid, email=None),
    "add the e-mail": lambda college, _chance, misid: college.correct(misid, email=f"{misid}@students.example.org"),
    "a bad phone": lambda college, chance, misid: college.correct(misid, phone=chance.choice([None, "x" * 80])),
    "another assessor": lambda college, chance, misid: college.correct(
        misid, assessor=chance.choice(["A1", "A2", "A3", "A9"])
    ),
    "an unknown class": lambda college, chance, misid: college.correct(
        misid, classroom=chance.choice(["Business Admin L2", "Nowhere"])
    ),
    "leave": lambda college, _chance, misid: college.withdraw(misid),
    "return": lambda college, _chance, misid: reenrol(college, misid),
    "repeat": lambda college, _chance, misid: college.enrol(misid),
    "a new MISID": lambda college, chance, misid: rename(college, misid, f"L{chance.randrange(45):02}"),
    "an empty MISID": lambda college, _chance, misid: rename(college, misid, ""),
    "change a staff record": lambda college, chance, _misid: college.correct(
        chance.choice(["A1", "A2"]), surname=chance.choice(["Ashe", "Birch"])
    ),
    "another member of staff": lambda college, _chance, _misid: college.enrol("A3", role="Assessor"),
}


@pytest.mark.parametrize("seed", [1, pytest.param(range(2, 4), marks=pytest.mark.slow)])
@pytest.mark.parametrize("archives", [pytest.param(False, marks=pytest.mark.slow), True], ids=["", "archiving"])
def test_an_incremental_and_a_full_read_make_the_same_plan(
    college: College, seed: int | range, archives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    college.with_policy(archives_leavers=archives, grace=timedelta(hours=3))
    ways: Counter[str] = Counter()

    def compare_both(context: SyncContext, scope: Scope, ambiguous: Any, **options: Any) -> GuardedPlan:
        planned = make_plan(context, scope, ambiguous, **options)
        if planned.read_result and not planned.read_result.is_full:
            full = make_plan(context, scope, ambiguous, **{**options, "is_poll": False})
            assert sorted_fields(planned.plan) == sorted_fields(full.plan)
            assert planned.guard.objections(planned.plan) == full.guard.objections(full.plan)
            ways["quiet" if planned.read_result.is_quiet else "changed"] += 1
        else:
            ways["full"] += 1
        return planned

    monkeypatch.setattr(run, "make_plan", compare_both)
    for each in [seed] if isinstance(seed, int) else seed:
        _play(college, random.Random(each))
    assert min(ways["changed"], ways["full"]) > 3, ways


def _play(college: College, chance: random.Random) -> None:
    for _ in range(40):
        college.clock.now += timedelta(minutes=chance.choice([1, 15, 240]))
        if chance.random() < 0.5:
            # Mostly a few edits of existing rows, as on an ordinary day.
            edits = chance.choices(
                list(_EDITS), weights=[9, 2, 5, 2, 3, 1, 1, 1, 0.5, 0.5, 0.2, 0.2, 0.2], k=chance.choice([1, 1, 3])
            )
            for edit in edits:
                _EDITS[edit](college, chance, f"L{chance.randrange(40):02}")
        if chance.random() < 0.05:
            with college.context.store.begin() as connection:
                held_records.retry(session_on(connection, ORGANISATION, college.clock.now))
        scope = Scope.of([f"L{chance.randrange(40):02}"]) if chance.random() < 0.05 else EVERYONE
        limits = Limits(0, 0) if chance.random() < 0.1 else NO_LIMITS
        college.with_policy(limits=limits)
        college.run(scope=scope)


def sorted_fields(plan: Plan) -> dict[str, Any]:
    values = {each.name: getattr(plan, each.name) for each in fields(plan)}
    return {name: sorted(map(repr, value)) if isinstance(value, tuple) else value for name, value in values.items()}


_MARKED = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email", phone AS "Telephone",
           classroom AS "ClassroomName", placement AS "PlacementID", assessor AS "DefaultAssessorMISID",
           updated AS "UpdatedAt"
    FROM person WHERE role IS NULL
"""


@pytest.fixture
def marked(college: College) -> College:
    """A college whose learners have a time stamp of their last change."""
    college.add_columns("updated")
    stamp(college)
    learners, staff = college.context.feeds
    college.context = replace(college.context, feeds=(replace(learners, query=_MARKED, watermark="updatedat"), staff))
    settle(college)
    college.run()
    return college


def stamp(college: College, *misids: str) -> None:
    for misid in misids or [f"L{number:02}" for number in range(30)]:
        college.correct(misid, updated=college.clock.now.strftime("%Y-%m-%d %H:%M:%S"))


def test_a_feed_with_a_watermark_returns_only_changed_rows(marked: College, parsed_rows: Counter[str]) -> None:
    marked.clock.now += timedelta(hours=3)
    marked.correct("L13", surname="Other")
    stamp(marked, "L13")
    marked.enrol("L31")
    stamp(marked, "L31")
    done = marked.run()
    assert (done.sent, done.unchanged) == (2, 31)
    marked.run()
    marked.clock.now += timedelta(hours=3)
    marked.correct("L14", email=None)
    stamp(marked, "L14")
    marked.run()
    parsed_rows.clear()
    done = marked.run()
    assert (done.calls, done.held, done.unchanged) == (0, 1, 32)
    assert parsed_rows["learners"] == 1


def test_a_record_held_for_a_code_is_read_again_below_the_watermark(marked: College, parsed_rows: Counter[str]) -> None:
    marked.correct("L13", assessor="A3")
    stamp(marked, "L13")
    marked.run()
    assert marked.held == {"L13": "reference_not_found"}
    marked.clock.now += timedelta(hours=5)
    marked.correct("L20", surname="Other")
    stamp(marked, "L20")
    marked.run()
    parsed_rows.clear()
    marked.enrol("A3", role="Assessor")
    marked.run()
    assert marked.held == {}


@pytest.mark.parametrize("change", ["a change without a time stamp", "a deleted row"])
def test_a_change_below_the_watermark_is_found_by_the_daily_full_read(
    marked: College, parsed_rows: Counter[str], change: str
) -> None:
    marked.clock.now += timedelta(hours=3)
    if change == "a deleted row":
        marked.withdraw("L13")
    else:
        marked.correct("L13", surname="Other")
    done = marked.run()
    assert (done.sent, done.left) == (0, 0)
    marked.clock.now += timedelta(days=1)
    parsed_rows.clear()
    done = marked.run()
    assert (done.sent, done.left) == ((0, 1) if change == "a deleted row" else (1, 0))
    assert parsed_rows["learners"] >= 29


def test_an_unknown_watermark_column_is_refused_with_the_nearest_name(college: College) -> None:
    learners, staff = college.context.feeds
    college.context = replace(college.context, feeds=(replace(learners, watermark="Telphone"), staff))
    with pytest.raises(ConfigurationError, match="watermark 'Telphone' is not among the columns; did you mean"):
        college.run()


def test_a_feed_without_changes_is_not_queried_for_keys_of_another_feed(marked: College) -> None:
    learners, staff = marked.context.feeds
    others = replace(learners, name="others", query=_LEARNERS.replace("role IS NULL", "role = 'other'"), watermark="")
    marked.context = replace(marked.context, feeds=(learners, others, staff))
    marked.enrol("M1", role="other")
    settle(marked)
    marked.clock.now += timedelta(hours=3)
    marked.run()
    marked.correct("M1", surname="Other")
    assert marked.run().sent == 1
    assert marked.run().unchanged == 33


def test_the_unassign_warning_ends_when_the_learner_or_the_user_leaves(college: College) -> None:
    query = "SELECT misid AS LearnerMISID, phone AS UserMISID FROM person WHERE role = 'link'"
    college.context = replace(college.context, assignment_feeds=(Feed("links", Role.ASSESSOR, query),))
    college.enrol("L01", role="link", phone="A2")
    settle(college)
    college.execute("DELETE FROM person WHERE role = 'link'", {})
    college.enrol("L02", role="link", phone="A2")
    settle(college)
    assert college.run().warnings == 1
    college.withdraw("L01")
    college.run()
    assert college.run().warnings == 0
