"""Watermarks that would hide changes: every change is found nevertheless, and the log says why all is read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import structlog
from sqlalchemy import NullPool, create_engine, text

from syncd.core.fields import Role
from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.operations.doctor import FeedCounts, State
from syncd.sync.context import Feed
from syncd.sync.feeds import check_feeds
from tests.support.college import College, Found

_QUERY = """
    SELECT misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone,
           classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID, updated AS UpdatedAt
    FROM person
"""
_Stamp = Callable[[College], object]


def _iso(college: College) -> str:
    return college.clock.now.strftime("%Y-%m-%d %H:%M:%S")


def _day_first(college: College) -> str:
    return college.clock.now.strftime("%d/%m/%Y %H:%M:%S")


def _stamped(found: Found, stamp: _Stamp) -> College:
    """A college of three learners with a watermark, all of whom are in OneFile."""
    college = found()
    college.add_columns("updated")
    college.context = replace(college.context, feeds=(Feed("learners", Role.LEARNER, _QUERY, "UpdatedAt"),))
    college.enrol("L1", "L2", "L3", updated=stamp(college))
    college.run()
    return college


def _next_change_is_sent(college: College, stamp: _Stamp) -> bool:
    college.clock.go_on(hours=5)
    college.correct("L2", surname=f"Changed at {college.clock.now:%d %H}", updated=stamp(college))
    return college.run().sent == 1


@pytest.mark.parametrize("poison", ["2099-01-01 00:00:00", "9999-12-31 23:59:59", "2026-01-17 12:00:00"])
def test_a_row_stamped_in_the_future_hides_no_change(found: Found, poison: str) -> None:
    college = _stamped(found, _iso)
    college.correct("L1", updated=poison)
    with structlog.testing.capture_logs() as log:
        college.run()
        assert _next_change_is_sent(college, _iso)
    [first, *_] = [line for line in log if line["event"] == "watermark_ignored"]
    assert (first["feed"], first["log_level"]) == ("learners", "warning")
    assert first["reason"].startswith("1 row has a value in the future by the database's clock. Correct")

    college.correct("L1", updated=_iso(college))
    college.run()
    with structlog.testing.capture_logs() as log:
        assert _next_change_is_sent(college, _iso)
    assert not [line for line in log if line["event"] == "watermark_ignored"]


def test_stamps_as_text_that_begins_with_the_day_hide_no_change(found: Found) -> None:
    college = _stamped(found, _day_first)
    # From the 31st to the 1st such a text becomes lower.
    college.clock.now = college.clock.now.replace(day=31)
    college.correct("L1", phone="1", updated=_day_first(college))
    college.run()
    college.clock.go_on(days=0.5)
    with structlog.testing.capture_logs() as log:
        assert _next_change_is_sent(college, _day_first)
    [line] = [line for line in log if line["event"] == "watermark_ignored"]
    assert line["reason"].startswith("the values of UpdatedAt do not sort in the order of time. Return a date and time")


@pytest.mark.parametrize("hours", [5.5, 3, -3])
def test_a_change_of_the_time_zone_of_the_mis_hides_no_change(found: Found, hours: float) -> None:
    def elsewhere(college: College) -> str:
        return (college.clock.now + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S")

    # SQLite has no clock: its own is that of the machine.
    college = _stamped(found, elsewhere)
    college.run()
    college.clock.go_on(minutes=10)
    college.correct("L3", surname="Changed", updated=_iso(college))
    assert college.run().sent == 1


def test_a_postgresql_whose_time_zone_changes_hides_no_change(found: Found, postgres_url: str) -> None:
    engine = create_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")

    def execute(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))

    database = engine.url.database
    execute(f"ALTER DATABASE {database} SET timezone TO 'Asia/Kolkata'")
    college = found()
    college.clock.now = datetime.now(college.clock.now.tzinfo)
    execute("CREATE TABLE person (misid text, surname text, updated timestamp DEFAULT LOCALTIMESTAMP)")
    execute("INSERT INTO person (misid, surname) VALUES ('L1', 'Example'), ('L2', 'Example')")
    query = (
        'SELECT misid AS "MISID", \'Ann\' AS "FirstName", surname AS "LastName", misid || \'@example.org\' AS email,'
        " 'Business Admin L2' AS classroomname, 18928 AS placementid, 'A1' AS defaultassessormisid, updated FROM person"
    )
    college.context = replace(
        college.context, mis=Mis(postgres_url), feeds=(Feed("learners", Role.LEARNER, query, "updated"),)
    )
    with structlog.testing.capture_logs() as log:
        assert college.run().sent == 2
        assert college.run().sent == 0
    assert not [line for line in log if line["event"] == "watermark_ignored"]

    execute(f"ALTER DATABASE {database} SET timezone TO 'UTC'")
    execute("UPDATE person SET surname = 'Other', updated = LOCALTIMESTAMP WHERE misid = 'L2'")
    assert college.run().sent == 1


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ("2099-01-01 00:00:00", "in the future by the database's clock"),
        ("15/01/2026 12:00:00", "do not sort in the order of time"),
        ("2026-01-15 11:00:00", ""),
    ],
)
def test_doctor_warns_about_a_watermark_that_polls_cannot_use(found: Found, stamp: str, words: str) -> None:
    college = _stamped(found, lambda _college: stamp)
    outcome = FeedCounts().of_feed(college.context)
    assert (outcome.state is State.WARNING) == bool(words)
    assert words in outcome.found
    assert ("every poll reads the whole feed" in outcome.found) == bool(words)
    assert bool(outcome.advice) == bool(words)


@pytest.mark.mariadb
def test_a_query_that_cannot_be_wrapped_is_refused_also_without_rows(found: Found, mariadb_url: str) -> None:
    engine = create_engine(mariadb_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE PROCEDURE learners() SELECT 'L1' AS MISID, 'A' AS FirstName, 'B' AS LastName, 'a@example.org' AS"
            " Email, 1 AS ClassroomID, 2 AS PlacementID, 3 AS DefaultAssessorID, 4 AS Changed FROM seq_1_to_2 WHERE 1=0"
        )
    college = found()
    feed = Feed("learners", Role.LEARNER, "CALL learners()", "Changed")
    college.context = replace(college.context, mis=Mis(mariadb_url), feeds=(feed,))
    for check in (check_feeds, FeedCounts().of_feed):
        with pytest.raises(
            MisUnreachable,
            match=r"^The feed learners cannot.* works alone, but not in parentheses.*or remove the feed's watermark\.$",
        ):
            check(college.context)
