"""What a replica of PostgreSQL says when its recovery stops a query."""

import pytest
from sqlalchemy import NullPool, create_engine, text

from syncd.errors import MisUnreachable, ReplicaConflict
from syncd.mis import Mis


@pytest.fixture
def replica(postgres_url: str) -> str:
    """A database with a function that raises the error of this SQLSTATE from its third row on."""
    engine = create_engine(postgres_url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION stopped(code text, number int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN"
                " IF number > 2 THEN RAISE EXCEPTION 'canceling statement due to conflict with recovery: Zz-Value'"
                " USING ERRCODE = code; END IF; RETURN number; END $$"
            )
        )
    return postgres_url


@pytest.mark.parametrize("first", [1, 3], ids=["after some rows", "before the first row"])
def test_query_stopped_by_recovery_names_settings_of_the_replica(replica: str, first: int) -> None:
    query = f"SELECT stopped('40001', n) AS misid FROM generate_series({first}, 9) AS n"
    with pytest.raises(ReplicaConflict) as failure, Mis(replica).read("learners", query) as rows:
        list(rows.stream)
    assert str(failure.value) == (
        "The feed learners cannot be read from the MIS: the server is a replica, and its recovery stopped the query. "
        "On the replica, set hot_standby_feedback = on, or raise max_standby_streaming_delay."
    )


@pytest.mark.parametrize("code", ["22012", "40P01", "57014"])
def test_query_stopped_for_another_reason_is_no_replica_conflict(replica: str, code: str) -> None:
    query = f"SELECT stopped('{code}', 3) AS misid"
    with pytest.raises(MisUnreachable) as failure, Mis(replica).read("learners", query) as rows:
        list(rows.stream)
    assert type(failure.value) is MisUnreachable
    assert "Zz-Value" not in str(failure.value)
