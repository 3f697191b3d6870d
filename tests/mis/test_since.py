"""Only what has changed is asked for, on every make of database: the query itself is left as it is."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import pytest
from sqlalchemy import create_engine, text

from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.mis.watermark_query import WatermarkQuery

#: With a colon, a percent sign and a name that is quoted.
_QUERY: Final = "SELECT misid AS MISID, '10%:x' AS FirstName, updated AS UpdatedAt FROM person;"
_TIMES: Final = {"sqlite": "TEXT", "postgresql": "TIMESTAMP(6)", "mariadb": "DATETIME(6)"}
_STAMP: Final = "2026-11-{:02} 12:00:00"


@pytest.fixture
def mis(url: str, make: str) -> Mis:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE person (misid VARCHAR(20), updated {_TIMES[make]})"))
        for day in range(1, 10):
            values = {"misid": f"L{day}", "updated": _STAMP.format(day)}
            connection.execute(text("INSERT INTO person VALUES (:misid, :updated)"), values)
        connection.execute(text("INSERT INTO person VALUES ('L0', NULL)"))
    engine.dispose()
    return Mis(url)


@pytest.mark.parametrize(
    ("is_included", "keys", "expected"),
    [(True, [], ["L8", "L9"]), (False, [], ["L9"]), (False, ["L0", "L3", "L77"], ["L0", "L3", "L9"])],
)
def test_watermark_query_reads_changed_rows_and_requested_keys(
    mis: Mis, make: str, is_included: bool, keys: Sequence[str], expected: list[str]
) -> None:
    stamp = _STAMP.format(8)
    mark = stamp if make == "sqlite" else datetime.fromisoformat(stamp)
    # PostgreSQL has folded the names, and it is what it calls them that is asked for.
    with mis.read("learners", _QUERY) as rows:
        key, _, watermark = rows.columns
    with mis.read("learners", _QUERY, WatermarkQuery(watermark, mark, is_included, key, keys)) as rows:
        read = sorted(tuple(row) for row in rows.stream)
    assert [row[0] for row in read] == expected
    assert {row[1] for row in read} == {"10%:x"}


def test_a_query_that_cannot_be_wrapped_is_said_in_a_sentence(mis: Mis) -> None:
    with (
        pytest.raises(MisUnreachable, match="The feed learners cannot be read from the MIS"),
        mis.read("learners", _QUERY, WatermarkQuery("nowhere", 1, True, "MISID")) as rows,
    ):
        list(rows.stream)
