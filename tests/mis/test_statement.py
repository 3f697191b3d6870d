"""A query may have and end in anything that a database accepts, and still stand in parentheses; but it only reads."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Dialect, NullPool, create_engine, text
from sqlalchemy.dialects import registry

from syncd.errors import MisUnreachable
from syncd.mis import Mis
from syncd.mis.statement import find_forbidden, strip_terminators
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
    f"WITH feed AS (SELECT * FROM person -- all\n) {_SELECT.replace('person', 'feed')}; -- it's all",
    f"/* people; */ {_SELECT}\t\r\n;\r\n",
    f"{_SELECT} WHERE note <> 'C:\\:x' AND note <> 'a::b' -- \\:y ::z \\",
    f"{_SELECT} WHERE note <> '%(since)s %s %% ?' AND 5 % 2 = 1 /* %(since)s ? ` */",
    f"{_SELECT} WHERE note <> '__[POSTCOMPILE_keys]' -- :since [since] syncd_feed",
    f"{_SELECT} UNION ALL {_SELECT} WHERE 1 = 0 ORDER BY 1;",
    f"{_SELECT} LIMIT 10",
]
_QUERIES_OF_ONE_MAKE = {
    "sqlite": [
        f"{_SELECT} /* everybody",
        f"{_SELECT}; /* it's everybody",
        f";{_SELECT}",
        "SELECT misid AS [MISID], note AS [a;'b], changed AS [UpdatedAt] FROM person; -- '",
    ],
    "postgresql": [
        f"{_SELECT} WHERE note <> $$a;b$$ AND note <> $t$a;$$b$t$; -- $$",
        f"{_SELECT} WHERE note <> E'\\';' AND note <> U&'\\0061;'; -- '",
        f"{_SELECT} /* a /* b /* ; */ ; */ ; */ ;",
        f"{_SELECT} AS x$$y ; -- $$",
        f"({_SELECT.replace('note', 'note::text')}) ORDER BY 1;",
    ],
    "mariadb": [
        f"{_SELECT} WHERE note <> 'it\\'s;' AND note <> \"a;\\\"b\"; # it's",
        f"{_SELECT} WHERE changed = 5--1 OR 1=1;#",
        f"{_SELECT} /*! ORDER BY misid */ ; --",
    ],
}


@pytest.fixture
def people(url: str) -> str:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (misid VARCHAR(20), note VARCHAR(20), changed INTEGER)"))
        connection.execute(text("INSERT INTO person VALUES ('L1', 'a', 1), ('L2', 'b', 2)"))
    return url


def test_a_query_runs_as_a_whole_and_for_changes(people: str, make: str) -> None:
    mis = Mis(people)
    for query in _QUERIES + _QUERIES_OF_ONE_MAKE[make]:
        with mis.read("learners", query) as rows:
            key, _, watermark = rows.columns
            assert sorted(str(row[0]) for row in rows.stream) == ["L1", "L2"]
        with mis.read("learners", query, WatermarkQuery(watermark, 2, True, key)) as rows:
            assert [row[0] for row in rows.stream] == ["L2"], query
        with mis.read("learners", query, WatermarkQuery(watermark, None, True, key)) as rows:
            assert list(rows.stream) == []


_DIALECTS: list[Dialect] = [
    registry.load(name)(**options)
    for name, options in (
        ("mssql", {}),
        ("mysql", {"paramstyle": "format"}),
        ("oracle", {}),
        ("postgresql", {"paramstyle": "pyformat"}),
        ("sqlite", {}),
    )
]
_SQL_SERVER = _DIALECTS[0]


@given(st.text("ab:%\\'\"`?[]_{}()/*-$@#;\n \u00e9", max_size=30), st.sampled_from(_DIALECTS))
def test_any_query_is_in_its_wrapped_form_character_by_character(middle: str, dialect: Dialect) -> None:
    # The parentheses keep SQL Server's own clauses out of it.
    query = f"({middle})"
    wrapped, parameters = WatermarkQuery("UpdatedAt", 2, True, "MISID", ["L1"]).compile(query, dialect)
    if dialect.paramstyle == "format":
        wrapped %= tuple(parameters)
    elif dialect.paramstyle == "pyformat":
        wrapped %= parameters
    assert f"(\n{query}\n)" in wrapped


@pytest.mark.parametrize(
    ("query", "wrapped"),
    [
        ("SELECT a FROM t ORDER BY a -- in order", "SELECT * FROM ( SELECT a FROM t ) AS feed WHERE [u] > 2"),
        (
            "SELECT TOP (5) a FROM t ORDER BY a OPTION (MAXDOP 1);",
            "SELECT * FROM ( SELECT TOP (5) a FROM t ORDER BY a ) AS feed WHERE [u] > 2 OPTION (MAXDOP 1)",
        ),
        (
            "SELECT a FROM t ORDER BY a OFFSET 5 ROWS",
            "SELECT * FROM ( SELECT a FROM t ORDER BY a OFFSET 5 ROWS ) AS feed WHERE [u] > 2",
        ),
        (
            "SELECT a, SUM(b) OVER (ORDER BY c) AS [ORDER BY] FROM t",
            "SELECT * FROM ( SELECT a, SUM(b) OVER (ORDER BY c) AS [ORDER BY] FROM t ) AS feed WHERE [u] > 2",
        ),
        (
            "WITH c (a) AS (SELECT TOP 9 a FROM t ORDER BY a), d AS (SELECT 1 AS b) -- two\nSELECT a FROM c ORDER BY a",
            (
                "WITH c (a) AS (SELECT TOP 9 a FROM t ORDER BY a), d AS (SELECT 1 AS b) -- two , syncd_feed AS ( "
                "SELECT a FROM c ) SELECT * FROM syncd_feed AS feed WHERE [u] > 2"
            ),
        ),
    ],
)
def test_what_sql_server_refuses_in_parentheses_is_put_outside(query: str, wrapped: str) -> None:
    statement, _ = WatermarkQuery("u", 2, False, "MISID").compile(strip_terminators(query, "mssql"), _SQL_SERVER)
    assert " ".join(statement.replace("u >", "[u] >").replace(":since", "2").split()) == wrapped


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
        ("sqlite", "; ;SELECT 1; ; -- end", "SELECT 1  -- end"),
        ("mssql", "SELECT [a]];'b]; -- '", "SELECT [a]];'b] -- '"),
        ("postgresql", "SELECT 1 /* /* /* ; */ ; */ ; */;", "SELECT 1 /* /* /* ; */ ; */ ; */"),
        ("sqlite", "SELECT 1; /* end", "SELECT 1 /* end\n*/"),
        ("sqlite", "", ""),
    ],
)
def test_only_the_semicolons_at_the_end_are_removed(dialect: str, query: str, left: str) -> None:
    assert strip_terminators(query, dialect).lstrip() == left


_REFUSED = {
    "sqlite": [
        "ATTACH 'other.db' AS other",
        "DETACH other",
        "PRAGMA user_version = 1",
        "VACUUM INTO 'other.db'",
        "/* SELECT */ DELETE FROM person",
    ],
    "mysql": [
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "select 1 into/**/dumpfile '/tmp/x'",
        "(SELECT 1 /*!50000 INTO OUTFILE '/tmp/x' */)",
        "SELECT 1 /*M!100000 INTO OUTFILE '/tmp/x' */",
        "LOAD DATA INFILE '/tmp/x' INTO TABLE person",
        "EXECUTE IMMEDIATE 'SELECT 1'",
        "/*!50000 SHUTDOWN */",
    ],
    "postgresql": [
        "COPY person TO PROGRAM 'sh'",
        "SELECT * INTO other FROM person",
        "SELECT pg_catalog.lo_export(1, '/tmp/x')",
        'SELECT (SELECT "pg_terminate_backend" (pid)) FROM pg_stat_activity',
        "SELECT dblink_exec('', 'DELETE FROM person')",
        "; CALL other()",
    ],
    "mssql": [
        "SELECT * INTO other FROM person",
        "WITH p AS (SELECT * FROM person) DELETE FROM p",
        "SET NOCOUNT ON UPDATE person SET code = 1 SELECT 1",
        "SELECT 1; TRUNCATE TABLE person",
        "EXEC master..xp_cmdshell 'dir'",
    ],
    "oracle": ["BEGIN other; END;", "LOCK TABLE person IN EXCLUSIVE MODE", "SELECT 1 INTO x FROM dual"],
    "db2": ["SELECT * INTO other FROM person"],
}
_ALLOWED = {
    "sqlite": ["VALUES (1)", "WITH p AS (SELECT 1) SELECT * FROM p", "SELECT 'INTO', \"INTO\", [INTO] -- INTO"],
    "mysql": [
        "CALL learners()",
        "(SELECT 1) UNION (SELECT 2)",
        "SELECT INSERT('a', 1, 1, 'b'), REPLACE('a', 'a', 'b')",
    ],
    "postgresql": ["TABLE person", "SELECT 1 AS into, t.into, $$ INTO $$, pg_backend_pid() FROM t", "((SELECT 1))"],
    "mssql": [
        "EXEC dbo.learners @year = 2026",
        "DECLARE @p TABLE (code int); INSERT INTO @p SELECT 1; INSERT @p SELECT 2; SELECT * FROM @p",
        "SELECT * INTO #p FROM person; DELETE FROM #p; SELECT * FROM #p; DROP TABLE IF EXISTS #p",
        "SELECT [update] FROM a INNER MERGE JOIN b ON 1 = 1 OPTION (MERGE JOIN)",
    ],
    "oracle": ["WITH p AS (SELECT 1 FROM dual) SELECT q'[ INTO ]' FROM p"],
    "db2": ["EXPLAIN x"],
}


def test_a_query_that_does_more_than_read_is_recognised_by_its_text() -> None:
    for dialect, queries in _REFUSED.items():
        for query in queries:
            assert "a feed may only read" in find_forbidden(query, dialect), query
    for dialect, queries in _ALLOWED.items():
        for query in queries:
            assert find_forbidden(query, dialect) == "", query


def test_a_forbidden_query_is_refused_before_it_runs(people: str, make: str) -> None:
    queries = _REFUSED["mysql" if make == "mariadb" else make]
    for query in queries:
        with (
            pytest.raises(
                MisUnreachable, match=r"^The feed learners cannot be read from the MIS: the query (has|begins)"
            ),
            Mis(people).read("learners", query),
        ):
            pass


def test_sqlite_refuses_what_reaches_beyond_the_file(tmp_path: Path) -> None:
    """Also if its text does not show it."""
    other = tmp_path / "other.db"
    for file in (tmp_path / "mis.db", other):
        connection = sqlite3.connect(file)
        connection.execute("CREATE VIRTUAL TABLE note USING fts5(text)")
        connection.execute("CREATE VIRTUAL TABLE place USING rtree(id, x1, x2)")
        connection.execute("INSERT INTO note VALUES ('one two')")
        connection.execute("INSERT INTO place VALUES (1, 2, 3)")
        connection.commit()
        connection.close()
    mis = Mis(f"sqlite:///{tmp_path / 'mis.db'}")
    for query in ("SELECT load_extension('x')", "SELECT * FROM pragma_user_version"):
        with (
            pytest.raises(MisUnreachable, match=r"a feed may only read: it must not use ATTACH|not authorized to use"),
            mis.read("learners", query) as rows,
        ):
            list(rows.stream)
    # SQLite's own extensions need more than a SELECT for it.
    with mis.read("learners", "SELECT id FROM place, note WHERE note MATCH 'two' AND x1 = 2") as rows:
        assert list(rows.stream) == [(1,)]
    with mis.read("learners", "SELECT name FROM pragma_table_info('note')") as rows:
        assert list(rows.stream) == [("text",)]
