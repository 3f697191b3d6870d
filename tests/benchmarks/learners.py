"""Made-up learners of the shape that an ILR return gives: 22 columns for syncd, from a seed, of any number."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import psycopg
from sqlalchemy import make_url

CLASSES: Final = tuple(f"Class {number:02}" for number in range(1, 21))
PLACEMENTS: Final = tuple(f"Employer {number:02} Ltd" for number in range(1, 31))
ASSESSORS: Final = tuple(f"A{number:03}" for number in range(1, 41))

_FORENAMES: Final = ("Aisha", "Ben", "Carys", "Dmitri", "Eleri", "Fatima", "George", "Hânna", "Imran", "José", "Łucja")
#: One learner in five has one of these; the others have one of 900, because a few surnames for everyone would make most
#: people of a large college share surname and date of birth with another, which few real people do.
_USUAL_SURNAMES: Final = ("Begum", "Clarke", "Davies", "Evans", "Fernández", "Green", "Hussain", "O'Neill", "Pryce")
_SURNAMES: Final = tuple(
    beginning + end
    for beginning in (
        *("Ash", "Brad", "Carl", "Dal", "Ed", "Fair", "Gar", "Hal", "Ing", "Ken", "Lang", "Mal", "Nor", "Old", "Pem"),
        *(
            "Ral",
            "Sel",
            "Thorn",
            "Und",
            "Wal",
            "Whit",
            "Ald",
            "Bex",
            "Cold",
            "Dun",
            "Far",
            "Hart",
            "Kirk",
            "Lin",
            "Rad",
        ),
    )
    for end in (
        *("bourne", "bridge", "brook", "bury", "by", "combe", "cote", "croft", "dale", "den", "don", "field", "fold"),
        *("ford", "gate", "ham", "head", "hill", "hurst", "land", "ley", "low", "man", "more", "shaw", "son", "stone"),
        *("ton", "wick", "worth"),
    )
)
_STREETS: Final = ("High Street", "Mill Lane", "Station Road", "The Crescent")
_NINO_PREFIXES: Final = ("AB", "CE", "HK", "JN", "PW", "SR", "TY")
_FIRST_DAY: Final = date(1990, 1, 1)
_WRITTEN_AT: Final = datetime(2026, 9, 1, 6)  # noqa: DTZ001 - an MIS knows no zones


class Column(NamedTuple):
    """A column of the MIS's table, and the one of the feed that it is."""

    name: str
    type: str
    field: str


COLUMNS: Final = tuple(
    Column(*words)
    for words in (
        ("reference", "varchar(20)", "MISID"),
        ("forename", "varchar(50)", "FirstName"),
        ("surname", "varchar(50)", "LastName"),
        ("email", "varchar(100)", "Email"),
        ("date_of_birth", "date", "DOB"),
        ("uln", "varchar(10)", "ULN"),
        ("ni_number", "varchar(9)", "NINO"),
        ("mobile", "varchar(20)", "MobileNumber"),
        ("telephone", "varchar(20)", "Telephone"),
        ("address", "varchar(200)", "HomeAddress"),
        ("ethnicity", "varchar(2)", "L12"),
        ("sex", "varchar(1)", "L13"),
        ("lldd", "varchar(1)", "L14"),
        ("disability", "varchar(2)", "L15"),
        ("difficulty", "varchar(2)", "L16"),
        ("support_funding", "boolean", "SupportFunding"),
        ("programme", "varchar(50)", "EpisodeName"),
        ("starts_on", "date", "StartOn"),
        ("planned_end_on", "date", "PlannedEndDate"),
        ("class_name", "varchar(20)", "ClassroomName"),
        ("employer", "varchar(50)", "PlacementName"),
        ("tutor_code", "varchar(10)", "DefaultAssessorMISID"),
    )
)

#: The rows come in the order of a number of the table's own, which has nothing to do with the MISIDs.
_SELECTED: Final = ", ".join(f'{each.name} AS "{each.field}"' for each in COLUMNS)
FEED: Final = f"SELECT {_SELECTED} FROM learner ORDER BY number"

#: One row in so many is another one after `change_some`.
ONE_IN: Final = 1000


def rows(count: int, seed: int = 1) -> Iterator[tuple[object, ...]]:
    """So many learners, as the table has them: a number, the columns, and when the row was written last."""
    chance = Random(seed)
    for number in range(1, count + 1):
        yield number, *_learner(number, chance), _WRITTEN_AT + timedelta(seconds=number % 86_400)


def misid_of(number: int) -> str:
    """The MISID of one of them, numbered from 1."""
    return f"L{number:07}"


def fill(url: str, count: int, seed: int = 1) -> None:
    """Make the table ``learner`` of a SQLite or PostgreSQL database, with so many rows."""
    names = ("number", *(column.name for column in COLUMNS), "updated_at")
    types = ("integer PRIMARY KEY", *(column.type for column in COLUMNS), "timestamp")
    table = f"CREATE TABLE learner ({', '.join(f'{name} {type_}' for name, type_ in zip(names, types, strict=True))})"
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        Path(parsed.database or "").unlink(missing_ok=True)
        with closing(sqlite3.connect(parsed.database or "")) as connection, connection:
            connection.execute(table)
            marks = ", ".join("?" * len(names))
            made = (tuple(_plain(value) for value in row) for row in rows(count, seed))
            connection.executemany(f"INSERT INTO learner VALUES ({marks})", made)
        return
    with psycopg.connect(driver_url(url)) as postgres:
        postgres.execute("DROP TABLE IF EXISTS learner")
        postgres.execute(table.encode())
        with postgres.cursor().copy("COPY learner FROM STDIN") as copy:
            for row in rows(count, seed):
                copy.write_row(row)
        postgres.commit()
        postgres.autocommit = True
        postgres.execute("VACUUM ANALYZE learner")


def change_some(url: str, one_in: int = ONE_IN) -> None:
    """Give one learner in so many another telephone number, and another one again each time this is called."""
    change = (
        "UPDATE learner SET telephone = CASE WHEN telephone LIKE '01530 1%' THEN '01530 2' ELSE '01530 1' END"
        f" || substr('00000' || number, -5), updated_at = '2026-09-03 06:00:00' WHERE (number - 1) % {one_in} = 0"
    )
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(parsed.database or "")) as connection, connection:
            connection.execute(change)
        return
    with psycopg.connect(driver_url(url)) as postgres:
        postgres.execute(change.replace("substr('00000' || number, -5)", "lpad(number::text, 5, '0')").encode())


def driver_url(url: str) -> str:
    """The same PostgreSQL database, for psycopg itself."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _learner(number: int, chance: Random) -> tuple[object, ...]:
    forename = chance.choice(_FORENAMES)
    surname = chance.choice(_USUAL_SURNAMES if chance.random() < 0.2 else _SURNAMES)
    begun = date(2026, 9, 1) - timedelta(days=chance.randrange(700))
    has_difficulty = chance.random() < 0.2
    return (
        misid_of(number),
        forename,
        surname,
        f"l{number:07}@students.example.org",
        _FIRST_DAY + timedelta(days=chance.randrange(7000)),
        _uln(chance),
        _nino(chance) if chance.random() < 0.7 else None,
        f"07700 {chance.randrange(900_000, 1_000_000)}",
        f"01530 {chance.randrange(300_000, 400_000)}" if chance.random() < 0.4 else None,
        f"{chance.randrange(1, 200)} {chance.choice(_STREETS)}\nAshby Vale\nLE65 {chance.randrange(1, 10)}AB",
        str(chance.randrange(31, 48)),
        chance.choice("MF"),
        "1" if has_difficulty else "2",
        str(chance.randrange(4, 18)) if has_difficulty else None,
        str(chance.randrange(10, 16)) if has_difficulty else None,
        has_difficulty,
        f"Apprenticeship standard {chance.randrange(1, 60)}",
        begun,
        begun + timedelta(days=365 + chance.randrange(400)),
        chance.choice(CLASSES),
        chance.choice(PLACEMENTS),
        chance.choice(ASSESSORS),
    )


def _uln(chance: Random) -> str:
    """Nine digits and the one that makes the weighted sum leave 10 when divided by 11."""
    while True:
        digits = str(chance.randrange(100_000_000, 1_000_000_000))
        left = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), digits, strict=True)) % 11
        if left:
            return f"{digits}{10 - left}"


def _nino(chance: Random) -> str:
    return "".join(
        chain(chance.choice(_NINO_PREFIXES), str(chance.randrange(100_000, 1_000_000)), chance.choice("ABCD"))
    )


def _plain(value: object) -> object:
    """As SQLite keeps it."""
    match value:
        case datetime():
            return value.isoformat(" ")
        case date():
            return value.isoformat()
        case _:
            return value
