"""A plan that is too large for memory as it is comes out of its buffers as it went in."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from syncd.core import buffers
from syncd.core.assignments import ChangedAssignments
from syncd.core.buffers import Buffer, RecordSet
from syncd.core.changed import find_changed
from syncd.core.compare import Snapshot
from syncd.core.fields import Role
from syncd.core.plan import Create, Plan
from syncd.core.plan_builder import build_plan
from syncd.core.values import Value
from tests.support.populations import Row, populations
from tests.support.records import SECRET, College, key, person


def _create(number: int) -> Create:
    who = key(f"L{number}", Role.LEARNER)
    fields: dict[str, Value] = {"LastName": f"Sméth-{number}", "SupportFunding": True}
    return Create(who, "learners", fields, {"DefaultAssessorID": who}, refers_to={"DefaultAssessorID": who})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(populations)
def test_packed_plan_equals_the_plan_in_plain_lists(
    monkeypatch: pytest.MonkeyPatch, population: tuple[College, list[Row]]
) -> None:
    college, rows = population

    def planned(pack_rows: int) -> Plan:
        monkeypatch.setattr(buffers, "PACK_ROWS", pack_rows)
        changed = find_changed(rows, college.known, SECRET, college.refused)
        around = Snapshot(college.known, college.values, college.codes, college.in_onefile, college.in_doubt)
        plan = build_plan(changed, ChangedAssignments(), around, college.rules, SECRET)
        plain: dict[str, Any] = {name: _plain(getattr(plan, name)) for name in Plan.__dataclass_fields__}
        return Plan(**plain)

    assert planned(2) == planned(1000)


def _plain(content: object) -> object:
    return tuple(content) if hasattr(content, "__iter__") and not isinstance(content, dict) else content


def test_buffer_is_read_as_often_as_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "PACK_ROWS", 2)
    creates = [_create(number) for number in range(7)]
    buffer = Buffer(Create)
    for create in creates:
        buffer.append(create)

    packed = buffer.close()

    assert list(packed) == list(packed) == creates
    assert [one.refers_to for one in packed] == [one.refers_to for one in creates]
    assert len(packed) == 7
    assert [each for pair in zip(packed, packed, strict=True) for each in pair] == [
        each for create in creates for each in (create, create)
    ]
    assert creates[3] in packed
    assert _create(8) not in packed


def test_dropped_record_is_missing_from_the_changed_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "PACK_ROWS", 2)
    changed = RecordSet()
    people = [person(f"A{number}") for number in range(5)]
    learner = person("L1", Role.LEARNER)
    for record in (learner, *people):
        changed.add(record)
    changed.drop(people[1].key)

    assert [record.key.misid for record in changed.records()] == ["A0", "A2", "A3", "A4", "L1"]
    assert people[1].key not in changed
    assert (len(changed), set(changed)) == (5, {record.key for record in (*people, learner)} - {people[1].key})
