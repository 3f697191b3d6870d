"""As fast as OneFile allows, and no faster, whichever way OneFile counts."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from syncd.simulator import Switches
from syncd.simulator.switches import LimiterShape
from tests.support.command import Exit, Finished, Syncd
from tests.support.provider.generator import made_up_learners
from tests.support.provider.mis import FEED, College, Mis
from tests.support.provider.onefile import onefile_of

_CALLS_PER_MINUTE = 300
_LEARNERS = 600
_TOLERANCE = 1.03


@dataclass(frozen=True, slots=True)
class _Race:
    shape: LimiterShape
    finished: Finished
    seconds: float
    statuses: list[int | None]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_six_hundred_calls_take_two_minutes_and_meet_no_429(tmp_path: Path) -> None:
    # Side by side, for each of them only waits.
    shapes = (LimiterShape.FIXED, LimiterShape.SLIDING, LimiterShape.BUCKET)
    with ThreadPoolExecutor(len(shapes)) as pool:
        races = list(pool.map(lambda shape: _race(shape, tmp_path / shape), shapes))

    for race in races:
        assert race.finished.exit == Exit.SOME_HELD, (race.shape, race.finished.stderr)
        assert 429 not in race.statuses, race.shape
        least_seconds = len(race.statuses) / _CALLS_PER_MINUTE * 60
        assert race.seconds <= _TOLERANCE * least_seconds, (race.shape, race.seconds, len(race.statuses))


def _race(shape: LimiterShape, folder: Path) -> _Race:
    folder.mkdir()
    college = College()
    engine = create_engine(f"sqlite:///{folder / 'mis.db'}")
    with onefile_of(college, Switches(limiter=shape, calls_per_minute=_CALLS_PER_MINUTE)) as onefile:
        mis = Mis(engine, college)
        mis.enrol(made_up_learners(_LEARNERS))
        engine.dispose()
        syncd = Syncd(
            folder,
            onefile.customer_token,
            {
                "onefile": {
                    "base_url": onefile.base_url,
                    "organisation_id": onefile.organisation_id,
                    "calls_per_minute": _CALLS_PER_MINUTE,
                },
                "source": {"url": mis.url},
            },
            FEED,
        )
        finished = syncd("sync", "--approve")
        # From the first call to the last: how long Python takes to start is another matter.
        seconds = onefile.calls[-1].at - onefile.calls[0].at
        return _Race(shape, finished, seconds, [call.status for call in onefile.calls])
