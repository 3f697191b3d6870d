"""syncd's promises, told to a machine that tries to break them.

``pytest tests/model --hypothesis-seed=N`` repeats what it was, and another N is something else. The short test tells
of a failure as it came; the slow ones look for the shortest story first.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from uuid import uuid4

import pytest
import stamina
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from syncd.state.db.encryption import ValueCipher
from syncd.state.db.store import Store

from .machine import Promises
from .site import FreshStore

_ANY_PACE = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
#: Shrinking may take five minutes, and explaining what is left traces every line.
_NO_EXPLANATION = (Phase.generate, Phase.shrink)


@pytest.fixture(autouse=True)
def no_pauses_and_no_log() -> Iterator[None]:
    with stamina.set_testing(True, attempts=3), structlog.testing.capture_logs():
        yield


@pytest.fixture
def fresh_file(tmp_path: Path) -> FreshStore:
    empty = tmp_path / "empty.db"
    store = Store(f"sqlite:///{empty}", ValueCipher())
    store.upgrade()
    store.close()
    return lambda: f"sqlite:///{copyfile(empty, tmp_path / f'{uuid4().hex}.db')}"


def _play(fresh_store: FreshStore, examples: int, steps: int, *, shrinks: bool = True) -> None:
    class Played(Promises):
        pass

    Played.tally = Counter()
    Played.fresh_store = staticmethod(fresh_store)
    run_state_machine_as_test(
        Played,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=_ANY_PACE,
            phases=_NO_EXPLANATION if shrinks else (Phase.generate,),
        ),
    )
    print(dict(Played.tally))  # noqa: T201 - shown with -s, and with a failure
    assert Played.tally["run finished"] > examples


def test_the_promises_hold_through_a_year_of_anything(fresh_file: FreshStore) -> None:
    _play(fresh_file, examples=15, steps=20, shrinks=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_promises_hold_through_many_years_of_anything(fresh_file: FreshStore) -> None:
    _play(fresh_file, examples=20, steps=40, shrinks=False)
