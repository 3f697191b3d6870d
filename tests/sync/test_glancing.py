"""A poll that looks only at what may be news finds what one finds that reads everything."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from syncd.core import digests as core_chunks
from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.core.plan import Plan
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import ConfigurationError
from syncd.onefile import Interrupted
from syncd.state import feed_digests, held_records
from syncd.sync import run
from syncd.sync.context import Feed, SyncContext
from syncd.sync.feeds import FeedReader
from syncd.sync.planner import GuardedPlan, make_plan
from tests.support.college import College, Found
from tests.support.onefile import ORGANISATION

_LEARNERS = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email", phone AS "Telephone",
           classroom AS "ClassroomName", placement AS "PlacementID", assessor AS "DefaultAssessorMISID"
    FROM person WHERE role IS NULL ORDER BY misid
"""
_STAFF = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email"
    FROM person WHERE role = 'Assessor' ORDER BY misid
"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_chunks, "BLOCK_ROWS", 3)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many rows were looked at, by feed."""
    counted: Counter[str] = Counter()
    look = FeedReader.parse_rows

    def counting(reader: FeedReader[Any], *arguments: Any) -> Any:
        for each in look(reader, *arguments):
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
        policy=replace(college.context.policy, limits=Limits(100, 1000)),
    )
    college.enrol("A1", "A2", role="Assessor")
    college.enrol(*(f"L{number:02}" for number in range(30)))
    return college


def settled(college: College) -> None:
    """In step, and remembered to be: what a run has sent the next one looks at once more."""
    college.run()
    college.run()


def test_a_quiet_poll_looks_at_no_row_and_calls_nobody(college: College, looked_at: Counter[str]) -> None:
    settled(college)
    college.run()
    looked_at.clear()
    done = college.run()
    assert done.is_in_sync
    assert (done.unchanged, done.calls) == (32, 0)
    assert not looked_at


def test_a_quiet_poll_asks_the_store_little_and_waits_for_no_disk(college: College) -> None:
    settled(college)
    college.run()
    statements, kinds = [], []
    engine = college.context.store.engine
    event.listen(engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    event.listen(engine, "begin", lambda begun: kinds.append(begun.get_execution_options()["syncd_kind"].name))
    assert not college.run().calls
    assert len([each for each in statements if each.startswith(("SELECT", "INSERT", "UPDATE", "DELETE"))]) <= 16
    assert kinds == ["FLEETING", "READING", "READING", "READING", "FLEETING"]
    college.correct("L13", surname="Other")
    assert college.run().sent == 1
    assert "LASTING" in kinds


def test_an_edit_costs_the_rows_beside_it(college: College, looked_at: Counter[str]) -> None:
    settled(college)
    college.run()
    looked_at.clear()
    college.correct("L13", surname="Other")
    done = college.run()
    assert (done.sent, done.unchanged) == (1, 31)
    assert looked_at["learners"] <= 6
    assert college.run().unchanged == 32


def test_of_an_edit_in_every_chunk_only_the_edited_rows_are_looked_at(
    college: College, looked_at: Counter[str]
) -> None:
    settled(college)
    college.run()
    looked_at.clear()
    edited = [f"L{number:02}" for number in range(0, 30, 3)]
    for misid in edited:
        college.correct(misid, surname="Other")
    done = college.run()
    assert (done.sent, done.unchanged) == (len(edited), 32 - len(edited))
    assert looked_at["learners"] == len(edited)


def test_a_colleague_who_is_looked_at_is_not_taken_for_the_learner_of_the_same_misid(college: College) -> None:
    college.enrol("A1")
    college.enrol("A3", "A3", role="Assessor")
    college.enrol("A3")
    settled(college)
    college.run()
    college.correct("L13", surname="Other")
    done = college.run()
    assert (done.sent, done.left, done.unchanged) == (1, 0, 33)


def test_what_is_held_stays_held_and_is_told_of_without_being_looked_at(
    college: College, looked_at: Counter[str]
) -> None:
    college.enrol("L30", "L31", email=None)
    settled(college)
    college.run()
    looked_at.clear()
    done = college.run()
    assert (done.held, done.unchanged) == (2, 32)
    assert not looked_at
    assert college.held == {"L30": "missing", "L31": "missing"}


@pytest.mark.parametrize("event", ["a day", "a clock set back", "retry", "another query", "a colleague's other id"])
def test_whatever_may_make_a_row_come_to_something_else_has_all_of_them_read(
    college: College, looked_at: Counter[str], event: str
) -> None:
    settled(college)
    college.run()
    looked_at.clear()
    match event:
        case "a day":
            college.clock.now += timedelta(days=1)
        case "a clock set back":
            college.clock.now -= timedelta(hours=1)
        case "retry":
            with college.context.store.begin() as connection:
                held_records.retry(connection, ORGANISATION, ["L01"], college.clock.now)
        case "another query":
            learners, staff = college.context.feeds
            college.context = replace(college.context, feeds=(replace(learners, query=learners.query + " "), staff))
        case _:
            college.correct("A2", surname="Other")
    college.run()
    assert looked_at["learners"] >= 30


def test_what_happens_to_an_account_beside_a_run_voids_what_that_run_has_found(
    college: College, looked_at: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(college)

    def retried_meanwhile(context: SyncContext, *arguments: Any, **options: Any) -> GuardedPlan:
        planned = make_plan(context, *arguments, **options)
        with context.store.begin() as connection:
            feed_digests.invalidate(connection, ORGANISATION)
        return planned

    college.correct("L01", surname="Other")
    monkeypatch.setattr(run, "make_plan", retried_meanwhile)
    college.run()
    monkeypatch.undo()
    core_chunks.BLOCK_ROWS = 3  # type: ignore[misc]
    with college.context.store.begin() as connection:
        assert feed_digests.remembered(connection, ORGANISATION, college.clock.now).comparison_version == ""


def test_a_run_that_breaks_off_leaves_nothing_to_go_by(college: College) -> None:
    settled(college)
    college.correct("L01", surname="Other")
    college.clock.is_stopping = True
    with pytest.raises(Interrupted):
        college.run()
    with college.context.store.begin() as connection:
        assert feed_digests.remembered(connection, ORGANISATION, college.clock.now).comparison_version == ""


def rename(college: College, old: str, new: str) -> None:
    college.execute("UPDATE person SET misid = :new WHERE misid = :old", {"new": new, "old": old})


def come(college: College, misid: str) -> None:
    college.withdraw(misid)
    college.enrol(misid)


_EDITS: dict[str, Callable[[College, random.Random, str], None]] = {
    "rename": lambda college, chance, misid: college.correct(misid, surname=chance.choice(["Ashe", "Birch", "Cole"])),
    "lose the e-mail": lambda college, _chance, misid: college.correct(misid, email=None),
    "find the e-mail": lambda college, _chance, misid: college.correct(misid, email=f"{misid}@students.example.org"),
    "a bad phone": lambda college, chance, misid: college.correct(misid, phone=chance.choice([None, "x" * 80])),
    "another assessor": lambda college, chance, misid: college.correct(
        misid, assessor=chance.choice(["A1", "A2", "A3", "A9"])
    ),
    "an unknown class": lambda college, chance, misid: college.correct(
        misid, classroom=chance.choice(["Business Admin L2", "Nowhere"])
    ),
    "leave": lambda college, _chance, misid: college.withdraw(misid),
    "come": lambda college, _chance, misid: come(college, misid),
    "come twice": lambda college, _chance, misid: college.enrol(misid),
    "a new MISID": lambda college, chance, misid: rename(college, misid, f"L{chance.randrange(45):02}"),
    "an empty MISID": lambda college, _chance, misid: rename(college, misid, ""),
    "a colleague": lambda college, chance, _misid: college.correct(
        chance.choice(["A1", "A2"]), surname=chance.choice(["Ashe", "Birch"])
    ),
    "another colleague": lambda college, _chance, _misid: college.enrol("A3", role="Assessor"),
}


@pytest.mark.parametrize("seed", [1, pytest.param(range(2, 4), marks=pytest.mark.slow)])
@pytest.mark.parametrize("archives", [False, True], ids=["", "archiving"])
def test_it_makes_the_plan_that_reading_everything_makes(
    college: College, seed: int | range, archives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    college.with_policy(archives_leavers=archives, grace=timedelta(hours=3))
    ways: Counter[str] = Counter()

    def both(context: SyncContext, scope: Scope, ambiguous: Any, **options: Any) -> GuardedPlan:
        planned = make_plan(context, scope, ambiguous, **options)
        if planned.read_result and not planned.read_result.is_full:
            whole = make_plan(context, scope, ambiguous, **{**options, "is_poll": False})
            assert in_no_order(planned.plan) == in_no_order(whole.plan)
            assert planned.objections == whole.objections
            ways["quiet" if planned.read_result.is_quiet else "news"] += 1
        else:
            ways["whole"] += 1
        return planned

    monkeypatch.setattr(run, "make_plan", both)
    for each in [seed] if isinstance(seed, int) else seed:
        _play(college, random.Random(each))
    assert min(ways["news"], ways["whole"]) > 3, ways


def _play(college: College, chance: random.Random) -> None:
    for _ in range(40):
        college.clock.now += timedelta(minutes=chance.choice([1, 15, 240]))
        if chance.random() < 0.5:
            # Mostly a few edits of people who are there, as on an ordinary day.
            edits = chance.choices(
                list(_EDITS), weights=[9, 2, 5, 2, 3, 1, 1, 1, 0.5, 0.5, 0.2, 0.2, 0.2], k=chance.choice([1, 1, 3])
            )
            for edit in edits:
                _EDITS[edit](college, chance, f"L{chance.randrange(40):02}")
        if chance.random() < 0.05:
            with college.context.store.begin() as connection:
                held_records.retry(connection, ORGANISATION, [], college.clock.now)
        scope = Scope.of([f"L{chance.randrange(40):02}"]) if chance.random() < 0.05 else EVERYONE
        limits = Limits(0, 0) if chance.random() < 0.1 else Limits(100, 1000)
        college.with_policy(limits=limits)
        college.run(scope=scope)


def in_no_order(plan: Plan) -> dict[str, Any]:
    told = {each.name: getattr(plan, each.name) for each in fields(plan)}
    return {name: sorted(map(repr, value)) if isinstance(value, tuple) else value for name, value in told.items()}


_MARKED = """
    SELECT misid AS "MISID", forename AS "FirstName", surname AS "LastName", email AS "Email", phone AS "Telephone",
           classroom AS "ClassroomName", placement AS "PlacementID", assessor AS "DefaultAssessorMISID",
           updated AS "UpdatedAt"
    FROM person WHERE role IS NULL
"""


@pytest.fixture
def marked(college: College) -> College:
    """Each row of it says when it was last changed."""
    college.add_columns("updated")
    stamp(college)
    learners, staff = college.context.feeds
    college.context = replace(college.context, feeds=(replace(learners, query=_MARKED, watermark="updatedat"), staff))
    settled(college)
    college.run()
    return college


def stamp(college: College, *misids: str) -> None:
    for misid in misids or [f"L{number:02}" for number in range(30)]:
        college.correct(misid, updated=college.clock.now.strftime("%Y-%m-%d %H:%M:%S"))


def test_a_feed_with_a_watermark_is_asked_only_for_what_has_changed(marked: College, looked_at: Counter[str]) -> None:
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
    looked_at.clear()
    done = marked.run()
    assert (done.calls, done.held, done.unchanged) == (0, 1, 32)
    assert looked_at["learners"] == 1


def test_what_is_held_for_a_code_is_asked_for_whatever_its_watermark_says(
    marked: College, looked_at: Counter[str]
) -> None:
    marked.correct("L13", assessor="A3")
    stamp(marked, "L13")
    marked.run()
    assert marked.held == {"L13": "reference_not_found"}
    marked.clock.now += timedelta(hours=5)
    marked.correct("L20", surname="Other")
    stamp(marked, "L20")
    marked.run()
    looked_at.clear()
    marked.enrol("A3", role="Assessor")
    marked.run()
    assert marked.held == {}


@pytest.mark.parametrize("lie", ["a change without a stamp", "somebody who has gone"])
def test_a_lying_watermark_loses_nothing_beyond_the_daily_sweep(
    marked: College, looked_at: Counter[str], lie: str
) -> None:
    marked.clock.now += timedelta(hours=3)
    if lie == "somebody who has gone":
        marked.withdraw("L13")
    else:
        marked.correct("L13", surname="Other")
    done = marked.run()
    assert (done.sent, done.left) == (0, 0)
    marked.clock.now += timedelta(days=1)
    looked_at.clear()
    done = marked.run()
    assert (done.sent, done.left) == ((0, 1) if lie == "somebody who has gone" else (1, 0))
    assert looked_at["learners"] >= 29


def test_a_watermark_that_is_no_column_is_said_with_the_nearest(college: College) -> None:
    learners, staff = college.context.feeds
    college.context = replace(college.context, feeds=(replace(learners, watermark="Telphone"), staff))
    with pytest.raises(ConfigurationError, match="watermark 'Telphone' is not among the columns; did you mean"):
        college.run()


def test_a_feed_without_news_is_not_asked_for_whoever_of_another_feed_is(marked: College) -> None:
    learners, staff = marked.context.feeds
    others = replace(learners, name="others", query=_LEARNERS.replace("role IS NULL", "role = 'other'"), watermark="")
    marked.context = replace(marked.context, feeds=(learners, others, staff))
    marked.enrol("M1", role="other")
    settled(marked)
    marked.clock.now += timedelta(hours=3)
    marked.run()
    marked.correct("M1", surname="Other")
    assert marked.run().sent == 1
    assert marked.run().unchanged == 33


def test_whom_only_a_person_can_unassign_is_no_longer_listed_once_either_has_left(college: College) -> None:
    query = "SELECT misid AS LearnerMISID, phone AS UserMISID FROM person WHERE role = 'link'"
    college.context = replace(college.context, assignment_feeds=(Feed("links", Role.ASSESSOR, query),))
    college.enrol("L01", role="link", phone="A2")
    settled(college)
    college.execute("DELETE FROM person WHERE role = 'link'", {})
    college.enrol("L02", role="link", phone="A2")
    settled(college)
    assert college.run().warnings == 1
    college.withdraw("L01")
    college.run()
    assert college.run().warnings == 0
