"""syncd's promises, told to a machine that tries to break them.

``pytest tests/model --hypothesis-seed=N`` repeats what it was, and another N is something else; with CI=true it is the
same each time. The short test tells of a failure as it came; the slow ones look for the shortest story first.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import stamina
import structlog
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.stores import open_store

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
    def fresh() -> str:
        url = f"sqlite:///{tmp_path / f'{uuid4().hex}.db'}"
        open_store(url).close()
        return url

    return fresh


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
            # The gate plays the same years each time, so that what it says depends on the change alone.
            derandomize=os.environ.get("CI") == "true",
            suppress_health_check=_ANY_PACE,
            phases=_NO_EXPLANATION if shrinks else (Phase.generate,),
        ),
    )
    print(dict(Played.tally))  # noqa: T201 - shown with -s, and with a failure
    assert Played.tally["run finished"] > examples


def test_the_promises_hold_through_a_year_of_anything(fresh_file: FreshStore) -> None:
    _play(fresh_file, examples=5, steps=20, shrinks=False)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_promises_hold_through_many_years_of_anything(fresh_file: FreshStore) -> None:
    _play(fresh_file, examples=20, steps=40, shrinks=False)
