"""A plan takes about as much memory for many people as for few: that of a whole process, whatever it is kept in."""

import os
import subprocess
import sys

import pytest

from .conftest import College

#: Each has half a kilobyte of values, which Python's own objects make four of.
_MADE_UP = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {people})
SELECT 'N' || i AS MISID, 'Ann' AS FirstName, 'Example-' || i AS LastName, 'n' || i || '@example.org' AS Email,
       hex(zeroblob(100)) || i AS HomeAddress, hex(zeroblob(100)) || i AS WorkAddress, 'M' AS L13, '99' AS L12,
       1 AS ClassroomID, 2 AS PlacementID, 3 AS DefaultAssessorID
FROM n
"""


@pytest.mark.slow
@pytest.mark.parametrize("command", [("plan", "--json"), ("sync",)])
def test_a_first_plan_does_not_grow_with_the_people_in_it(college: College, command: tuple[str, ...]) -> None:
    few, many = (_peak_kilobytes(college, people, command) for people in (1_000, 11_000))
    assert (many - few) * 1024 / 10_000 < 500


def _peak_kilobytes(college: College, people: int, command: tuple[str, ...]) -> int:
    (college.folder / "learners.sql").write_text(_MADE_UP.format(people=people), encoding="utf-8")
    with (college.folder / "said.txt").open("w+", encoding="utf-8") as said:
        process = subprocess.Popen([sys.executable, "-m", "syncd", *command], stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        told = said.read()
    assert process.returncode == (3 if command == ("sync",) else 0), told
    assert f"it is the first run to create accounts in this organisation ({people:,} creates)" in told
    return usage.ru_maxrss
