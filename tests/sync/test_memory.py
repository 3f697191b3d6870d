"""What a run leaves in memory: nothing that a later run adds to."""

import gc
from collections import Counter

from tests.support.college import College, Found

_LEARNERS = tuple(f"L{number}" for number in range(10))


def test_objects_of_earlier_runs_are_not_kept(found: Found) -> None:
    college = found()
    college.enrol(*_LEARNERS)
    for number in range(2):
        _change_everyone(college, number)
    before = _objects()

    for number in range(2, 5):
        _change_everyone(college, number)

    more = _objects() - before
    assert not {name: count for name, count in more.items() if count >= len(_LEARNERS)}


def _change_everyone(college: College, number: int) -> None:
    for misid in _LEARNERS:
        college.correct(misid, phone=f"01224 {number}")
    assert college.run().sent == len(_LEARNERS)


def _objects() -> Counter[str]:
    """The living objects of syncd's classes, without those of the simulator, which keeps every call."""
    gc.collect()
    names = (f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    return Counter(name for name in names if name.startswith("syncd.") and not name.startswith("syncd.simulator."))
