"""An MIS that is a replica of PostgreSQL: its recovery may stop a query, and the feeds are read once more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from syncd.errors import MisUnreachable, ReplicaConflict
from syncd.mis import Mis, Rows
from syncd.mis.watermark_query import WatermarkQuery
from syncd.operations.doctor import FeedCounts, State
from syncd.sync.feeds import with_second_try
from tests.support.college import College, Found

_PEOPLE = ("L1", "L2", "L3")
_SAID = (
    "The feed learners cannot be read from the MIS: the server is a replica, and its recovery stopped the query. "
    "On the replica, set hot_standby_feedback = on, or raise max_standby_streaming_delay."
)


class _Replica(Mis):
    """An MIS whose recovery stops the first queries after their first rows."""

    def __init__(self, url: str, conflicts: int) -> None:
        super().__init__(url)
        self.conflicts = conflicts

    @contextmanager
    def read(self, feed: str, query: str, watermark: WatermarkQuery | None = None) -> Iterator[Rows]:
        with super().read(feed, query, watermark) as rows:
            seen = 0

            def take(count: int) -> Any:
                nonlocal seen
                if seen and self.conflicts:
                    self.conflicts -= 1
                    raise ReplicaConflict(_SAID)
                seen += 1
                return rows.take(count)

            yield Rows(rows.columns, take)


def _on_replica(college: College, conflicts: int) -> None:
    college.context = replace(college.context, mis=_Replica(college.mis_url, conflicts), block_rows=2)


def test_run_reads_once_more_after_one_conflict_and_is_in_sync(found: Found) -> None:
    college = found()
    college.enrol(*_PEOPLE)
    _on_replica(college, 1)
    done = college.run()
    assert (done.sent, done.is_in_sync) == (3, True)

    # An incremental read starts anew as well.
    college.correct("L2", surname="Example-Other")
    _on_replica(college, 1)
    done = college.run()
    assert (done.sent, done.left, done.is_in_sync) == (1, 0, True)


def test_run_fails_at_second_conflict_and_takes_no_account_for_leaver(found: Found) -> None:
    college = found()
    college.enrol(*_PEOPLE)
    assert college.run().sent == 3
    college.correct("L2", surname="Example-Other")
    _on_replica(college, 2)
    with pytest.raises(ReplicaConflict, match="hot_standby_feedback"):
        college.run()
    done = college.run()
    assert (done.sent, done.left) == (1, 0)


def test_doctor_warns_of_one_conflict_with_the_setting_that_helps(found: Found) -> None:
    college = found()
    college.enrol(*_PEOPLE)
    _on_replica(college, 1)
    outcome = FeedCounts().of_feed(college.context)
    assert outcome.state is State.WARNING
    assert outcome.found.startswith("3 rows; none would be held; the first try failed: The feed learners ")
    assert outcome.advice == _SAID.partition(". ")[2]
    _on_replica(college, 2)
    with pytest.raises(ReplicaConflict):
        FeedCounts().of_feed(college.context)


@pytest.mark.parametrize(
    ("problems", "tries"),
    [
        ([], 1),
        ([ReplicaConflict("")], 2),
        ([ReplicaConflict(""), ReplicaConflict("")], 2),
        ([MisUnreachable("")], 1),
        ([ReplicaConflict(""), MisUnreachable("")], 2),
    ],
)
def test_only_a_conflict_gets_a_second_try(problems: list[Exception], tries: int) -> None:
    left, tried = list(problems), 0

    def read() -> str:
        nonlocal tried
        tried += 1
        if left:
            raise left.pop(0)
        return "read"

    if len(problems) < tries:
        assert with_second_try(read) == "read"
    else:
        with pytest.raises(type(problems[-1])):
            with_second_try(read)
    assert tried == tries
