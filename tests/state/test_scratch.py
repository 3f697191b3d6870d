"""A plan that is larger than memory should hold is the same plan, and nobody can read where it lies."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from syncd.core.assignments import ChangedAssignments
from syncd.core.buffers import RecordSet
from syncd.core.changed import find_changed
from syncd.core.compare import Snapshot
from syncd.core.fields import Role
from syncd.core.plan import Create, Plan
from syncd.core.plan_builder import build_plan
from syncd.core.records import Record
from syncd.sync import disk_buffers
from syncd.sync.disk_buffers import DiskBufferFactory
from tests.support.populations import Row, populations
from tests.support.records import SECRET, College, key, person


@pytest.fixture
def small_sheets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_buffers, "SHEET_ROWS", 2)


def _create(number: int) -> Create:
    who = key(f"L{number}", Role.LEARNER)
    return Create(who, "learners", {"LastName": f"Sméth-{number}", "SupportFunding": True}, {"DefaultAssessorID": who})


@pytest.mark.usefixtures("small_sheets")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(populations)
def test_a_plan_is_the_same_wherever_it_is_laid_out(population: tuple[College, list[Row]]) -> None:
    college, rows = population

    def planned(desk: DiskBufferFactory | None) -> Plan:
        sifted = find_changed(rows, college.known, SECRET, college.refused, buffers=desk)
        around = Snapshot(college.known, college.values, college.codes, college.in_onefile, college.in_doubt)
        return build_plan(sifted, ChangedAssignments(), around, college.rules, SECRET, desk)

    in_memory, in_a_file = planned(None), planned(DiskBufferFactory())

    for name in Plan.__dataclass_fields__:
        here, there = getattr(in_memory, name), getattr(in_a_file, name)
        assert (list(here) if hasattr(here, "__iter__") else here) == (
            list(there) if hasattr(there, "__iter__") else there
        ), name
        assert not hasattr(here, "__len__") or len(here) == len(there)


@pytest.mark.usefixtures("small_sheets")
def test_what_was_laid_down_is_there_as_often_as_it_is_asked_for() -> None:
    desk = DiskBufferFactory()
    pile = desk.new_buffer(Create)
    creates = [_create(number) for number in range(7)]
    for create in creates:
        pile.append(create)

    laid = pile.close()

    assert list(laid) == list(laid) == creates
    assert len(laid) == 7
    assert [each for pair in zip(laid, laid, strict=True) for each in pair] == [
        each for create in creates for each in (create, create)
    ]
    assert creates[3] in laid
    assert _create(8) not in laid


@pytest.mark.usefixtures("small_sheets")
def test_dropped_record_is_missing_from_the_changed_records() -> None:
    changed = RecordSet(DiskBufferFactory())
    people = [person(f"A{number}") for number in range(5)]
    learner = person("L1", Role.LEARNER)
    for record in (learner, *people):
        changed.add(record)
    changed.drop(people[1].key)

    assert [record.key.misid for record in changed.records()] == ["A0", "A2", "A3", "A4", "L1"]
    assert people[1].key not in changed
    assert (len(changed), set(changed)) == (5, {record.key for record in (*people, learner)} - {people[1].key})


@pytest.mark.usefixtures("small_sheets")
def test_nothing_can_be_read_in_the_file_and_it_is_gone_with_the_plan(tmp_path: Path) -> None:
    desk = DiskBufferFactory(tmp_path)
    pile = desk.new_buffer(Record)
    for number in range(4):
        pile.append(person(f"A{number}", LastName="Sméth", ULN="9276308686"))

    assert list(tmp_path.iterdir()) == []
    (descriptor,) = _open_files_in(tmp_path)
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:  # noqa: PTH123 - it has no path
        content = file.read()
    assert len(content) > 500
    assert not any(told in content for told in (b"9276308686", "Sméth".encode(), b"LastName"))
    del desk, pile
    assert _open_files_in(tmp_path) == []


def _open_files_in(folder: Path) -> list[str]:
    descriptors = Path("/proc/self/fd")
    return [each.name for each in descriptors.iterdir() if _target(each).startswith(str(folder))]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


@pytest.mark.usefixtures("small_sheets")
def test_where_no_file_can_be_made_it_stays_in_memory(tmp_path: Path) -> None:
    pile = DiskBufferFactory(tmp_path / "nowhere").new_buffer(Create)
    for number in range(5):
        pile.append(_create(number))

    assert pile.close() == tuple(map(_create, range(5)))


_FULL = """
import resource, signal, sys
from pathlib import Path
from syncd.errors import StateUnusable
from syncd.sync.disk_buffers import DiskBufferFactory
from tests.support.records import person

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
pile = DiskBufferFactory(Path(sys.argv[1])).new_buffer(type(person("A1")))
try:
    for number in range(10_000):
        pile.append(person(f"A{number}"))
except StateUnusable as problem:
    print(problem)
"""


def test_a_disk_that_is_full_is_said_in_a_sentence(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _FULL, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert finished.stdout == f"There is no room in {tmp_path} for a plan of this size: File too large.\n"
    assert finished.stderr == ""
