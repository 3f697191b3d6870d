"""A query may end in anything that a database lets it end in, and still stand in parentheses."""

import pytest
from sqlalchemy import NullPool, create_engine, text

from syncd.mis import Mis
from syncd.mis.statement import strip_terminators
from syncd.mis.watermark_query import WatermarkQuery

_SELECT = "SELECT misid AS MISID, note AS FirstName, changed AS UpdatedAt FROM person"
_QUERIES = [
    _SELECT,
    f"{_SELECT} -- everybody",
    f"{_SELECT};",
    f"{_SELECT} ; \n\n",
    f"{_SELECT}; -- end",
    f"{_SELECT};;\n-- one; two\n/* three; */ ; -- four",
    f"{_SELECT} /* 100 % : sure */",
    f"{_SELECT} -- a -- b ' c",
    f"{_SELECT} WHERE note <> 'a;b -- c' ORDER BY misid -- in this order",
    f"{_SELECT} WHERE note <> ';' ; -- it's over",
    f"{_SELECT} WHERE note NOT LIKE '%:x%' -- 100 % :sure ?",
    f"WITH p AS (SELECT * FROM person) {_SELECT.replace('person', 'p')}\n-- ;",
]


@pytest.fixture
def people(url: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (misid VARCHAR(20), note VARCHAR(20), changed INTEGER)"))
        connection.execute(text("INSERT INTO person VALUES ('L1', 'a', 1), ('L2', 'b', 2)"))
    return url


@pytest.mark.parametrize("query", _QUERIES)
def test_a_query_runs_as_a_whole_and_for_changes(people: str, query: str) -> None:
    with Mis(people).read("learners", query) as rows:
        key, _, watermark = rows.columns
        assert sorted(str(row[0]) for row in rows.stream) == ["L1", "L2"]
    with Mis(people).read("learners", query, WatermarkQuery(watermark, 2, True, key)) as rows:
        assert [row[0] for row in rows.stream] == ["L2"]


@pytest.mark.parametrize(
    ("dialect", "query", "left"),
    [
        ("mssql", "SELECT [a;b] FROM t;", "SELECT [a;b] FROM t"),
        ("mssql", "SELECT 1; -- [", "SELECT 1 -- ["),
        ("mssql", "SELECT 1; /* a /* b; */ ; */ ;", "SELECT 1 /* a /* b; */ ; */"),
        ("mssql", "SELECT * FROM #t; -- end", "SELECT * FROM #t -- end"),
        ("mysql", r"SELECT 'it\'s; -- ' FROM t; # end;", r"SELECT 'it\'s; -- ' FROM t # end"),
        ("mariadb", "SELECT 1 --1; -- end", "SELECT 1 --1 -- end"),
        ("postgresql", "SELECT $$; -- $$; -- end", "SELECT $$; -- $$ -- end"),
        ("postgresql", r"SELECT E'\'; -- '; -- end", r"SELECT E'\'; -- ' -- end"),
        ("oracle", "SELECT q'[it's; -- ]' FROM t; -- end", "SELECT q'[it's; -- ]' FROM t -- end"),
        ("sqlite", "SELECT 1; SELECT 2; -- end", "SELECT 1; SELECT 2 -- end"),
        ("sqlite", "SELECT '", "SELECT '"),
    ],
)
def test_only_the_semicolons_at_the_end_are_removed(dialect: str, query: str, left: str) -> None:
    assert strip_terminators(query, dialect) == left
