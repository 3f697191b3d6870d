"""PostgreSQL as MIS whose server, database or role has other forms of values by default than syncd reads."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from syncd.core.fields import Kind
from syncd.core.values import Unusable, read_value
from syncd.mis import Mis

FORMS = [
    {"DateStyle": "SQL, DMY"},
    {"DateStyle": "German"},
    {"DateStyle": "Postgres, MDY"},
    {"IntervalStyle": "iso_8601"},
    {"client_encoding": "LATIN1"},
    {"TimeZone": "<+03>-03"},
    {"TimeZone": "America/New_York"},
    {"extra_float_digits": "-5"},
    {"default_transaction_isolation": "serializable"},
    {"default_transaction_isolation": "read committed", "default_transaction_deferrable": "on"},
]


def _with_defaults(url: str, **settings: str) -> str:
    """Give a database these defaults; returns its URL."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for name, value in settings.items():
            connection.exec_driver_sql(f"ALTER DATABASE \"{make_url(url).database}\" SET {name} = '{value}'")
    return url


def _row(url: str, query: str) -> Sequence[Any]:
    with Mis(url).read("learners", query) as rows:
        (row,) = rows.stream
    return row


@pytest.mark.parametrize("settings", FORMS, ids=str)
def test_values_are_read_with_any_default_form_of_a_database(postgres_url: str, settings: dict[str, str]) -> None:
    url = _with_defaults(postgres_url, **settings)

    name, day, moment, plain, number, span = _row(
        url,
        """
        SELECT 'Łucja', '2004-06-01'::date, '2004-06-01 00:30:00+01'::timestamptz, '2004-02-01 10:00'::timestamp,
               1234567890123.25::float8, '1 day 2 hours'::interval
        """,
    )

    assert name == "Łucja"
    assert read_value(Kind.DATE, day) == "2004-06-01T00:00:00.000Z"
    # By the time zone of the college it is the first day of June, in that of the others the last of May.
    assert read_value(Kind.DATE, moment) == "2004-06-01T00:00:00.000Z"
    assert read_value(Kind.MOMENT, moment) == "2004-05-31T23:30:00.000Z"
    assert read_value(Kind.DATE, plain) == "2004-02-01T00:00:00.000Z"
    assert number == 1234567890123.25
    assert (span.days, span.seconds) == (1, 7200)


def test_moment_is_of_the_day_in_the_configured_time_zone(postgres_url: str) -> None:
    with Mis(postgres_url, time_zone="Pacific/Auckland").read(
        "learners", "SELECT '2004-05-31 13:00Z'::timestamptz"
    ) as rows:
        ((moment,),) = rows.stream

    assert read_value(Kind.DATE, moment) == "2004-06-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("ROW('Ann', 'Ex')", "is a composite of several values, not text"),
        ("ROW('Ann', 'Ex')::full_name", "is a composite of several values, not text"),
        ("ARRAY[ROW('Ann', 'Ex')::full_name]", "is a composite of several values, not text"),
        ("ARRAY['Ann'::tone]", "is a composite of several values, not text"),
        ("tone_range('Ann', 'Bob')", "is a composite of several values, not text"),
        ("ARRAY['Ann']", "is a list, not text"),
        ("int4range(1, 2)", "is a Range, not text"),
    ],
)
def test_value_of_several_parts_is_no_text(postgres_url: str, expression: str, complaint: str) -> None:
    _define_types(postgres_url)

    (value,) = _row(postgres_url, f"SELECT {expression} AS FirstName")

    with pytest.raises(Unusable, match=f"^{complaint}$"):
        read_value(Kind.TEXT, value)


@pytest.mark.parametrize("expression", ["'Ann'::tone", "'Ann'::forename", "'Ann'::name", "'Ann'::varchar(9)"])
def test_text_of_a_type_that_the_database_defines_is_text(postgres_url: str, expression: str) -> None:
    _define_types(postgres_url)

    (value,) = _row(postgres_url, f"SELECT {expression} AS FirstName")

    assert read_value(Kind.TEXT, value) == "Ann"


def _define_types(url: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TYPE full_name AS (forename text, surname text)")
        connection.exec_driver_sql("CREATE TYPE tone AS ENUM ('Ann', 'Bob')")
        connection.exec_driver_sql("CREATE TYPE tone_range AS RANGE (subtype = tone)")
        connection.exec_driver_sql("CREATE DOMAIN forename AS text CHECK (VALUE <> '')")
