"""A reading that breaks off makes the run fail: the people whom it has not reached are no leavers."""

from dataclasses import replace
from typing import Final

import pytest

from syncd.core.fields import Role
from syncd.core.guard import Limits
from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.sync.context import Feed
from tests.support.college import Found
from tests.support.onefile import CLASSROOM, PLACEMENT
from tests.support.tds import Answer, Column, Cut, Failure, Result, TdsServer
from tests.support.tds.columns import nvarchar

# SQL Server's driver needs libraries of the system.
pytestmark = pytest.mark.mssql

_QUERY = "SELECT * FROM learner"
_COLUMNS = ("MISID", "FirstName", "LastName", "Email", "ClassroomID", "PlacementID", "DefaultAssessorID")


def _people(number: int, *, failure: Failure | None = None) -> Result:
    rows = [
        [
            f"L{each}",
            "Ann",
            f"Example-{each}",
            f"l{each}@students.example.org",
            str(CLASSROOM),
            str(PLACEMENT),
            "300001",
        ]
        for each in range(number)
    ]
    return Result([Column(name, nvarchar(60)) for name in _COLUMNS], rows, failure)


_BROKEN: Final[dict[str, Answer]] = {
    **{f"cut after {length} bytes": Cut(_people(200), length) for length in (0, 700, 9000, 20_000, 24_000)},
    "reset": Cut(_people(200), 9000, by_reset=True),
    "deadlock": _people(150, failure=Failure(1205, "Transaction was deadlocked. Rerun the transaction.", 13)),
}


@pytest.mark.parametrize("broken", _BROKEN)
def test_a_reading_that_breaks_off_makes_no_leavers(found: Found, broken: str) -> None:
    college = found()
    with TdsServer({_QUERY: _people(200)}) as server:
        college.context = replace(
            college.context,
            mis=Mis(server.url(Encrypt="no")),
            feeds=(Feed("learners", Role.LEARNER, _QUERY),),
            policy=replace(college.context.policy, limits=Limits(100, 1000)),
        )
        assert college.run().left == 0
        server.answers = {**server.answers, _QUERY: _BROKEN[broken]}
        with pytest.raises(MisUnreachable, match="The feed learners cannot be read"):
            college.run()
        server.answers = {**server.answers, _QUERY: _people(200)}
        done = college.run()
    assert (done.left, done.held) == (0, 0)
