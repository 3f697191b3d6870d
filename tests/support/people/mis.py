"""An MIS: what it shows of people, under which keys."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Final

from sqlalchemy import Column, Date, Engine, MetaData, String, Table, delete, insert

from syncd.core.fields import Role
from tests.support.onefile import CLASSROOM, PLACEMENT

from .person import Enrolment, Person

_METADATA: Final = MetaData()
_PEOPLE: Final = Table(
    "people",
    _METADATA,
    Column("role", String(20), nullable=False),
    Column("ref", String(40)),
    Column("person_ref", String(12), nullable=False),
    Column("given_names", String(100)),
    Column("family_name", String(100)),
    Column("email", String(200)),
    Column("born_on", Date),
    Column("uln", String(10)),
    Column("ni_number", String(9)),
    Column("starts_on", Date),
    Column("ends_on", Date),
    Column("tutor", String(40)),
)
_COLUMNS: Final = {
    "FirstName": "given_names",
    "LastName": "family_name",
    "Email": "email",
    "DOB": "born_on",
    "ULN": "uln",
    "NINO": "ni_number",
}


class KeyedBy(Enum):
    """What an MIS gives a key to."""

    PERSON = "person"
    """A key for as long as somebody lives: the next programme changes the dates of the row."""
    ENROLMENT = "enrolment"
    """A key for each programme: the next one is another row, and the old row goes."""


@dataclass(eq=False, slots=True)
class Row:
    """One entry of the MIS, for which OneFile is to have one account, whatever its key becomes."""

    person: Person
    enrolment: Enrolment
    key: str
    tutor: str | None = None
    is_current: bool = True
    shows: dict[str, str | None] = field(default_factory=dict)
    """Values by OneFile's names that it shows instead of the person's."""

    @property
    def role(self) -> Role:
        """The role of the account."""
        return self.enrolment.role

    @property
    def fields(self) -> dict[str, str]:
        """The values that it shows, by OneFile's names, without empty ones."""
        return {name: value for name, value in {**self.person.fields, **self.shows}.items() if value}


class Mis:
    """The rows of an MIS, and who is behind each; `publish` makes a database show them."""

    def __init__(self, engine: Engine, keyed_by: KeyedBy = KeyedBy.ENROLMENT) -> None:
        self.keyed_by = keyed_by
        self.engine = engine
        self.history: list[Row] = []
        """Every row there ever was, the oldest first."""
        self._last_key = 0
        self._published: dict[tuple[Role, str], list[Row]] = {}
        _METADATA.create_all(engine)

    @property
    def url(self) -> str:
        """The SQLAlchemy URL that reaches it."""
        return self.engine.url.render_as_string(hide_password=False)

    @property
    def rows(self) -> list[Row]:
        """The rows it has now."""
        return [row for row in self.history if row.is_current]

    def current(self, role: Role) -> list[Row]:
        """The rows of a role that it has now."""
        return [row for row in self.rows if row.role is role]

    def row_of(self, role: Role, key: str) -> Row | None:
        """The row that the database shows under this key, and so says whose the key is; none if there are several."""
        found = self._published.get((role, key), [])
        return found[0] if len(found) == 1 else None

    def rows_of(self, person: Person, role: Role) -> list[Row]:
        """The rows that somebody has now in a role."""
        return [row for row in self.current(role) if row.person is person]

    # What happens to it

    def employ(self, person: Person, key: str | None = None, role: Role = Role.ASSESSOR) -> Row:
        """Add a member of staff."""
        return self._add(person, Enrolment(role), key)

    def enrol(
        self, person: Person, starts_on: date, planned_end: date, key: str | None = None, tutor: str | None = None
    ) -> Row:
        """Add a learner with a programme."""
        return self._add(person, Enrolment(Role.LEARNER, starts_on, planned_end), key, tutor)

    def remove(self, row: Row) -> None:
        """Have a row no longer."""
        row.is_current = False

    def bring_back(self, row: Row) -> None:
        """Have a row again, under its key."""
        row.is_current = True

    def begin_next_programme(self, row: Row, starts_on: date, planned_end: date) -> Row:
        """Have somebody start another programme; returns the row that shows it."""
        if self.keyed_by is KeyedBy.ENROLMENT:
            self.remove(row)
            return self.enrol(row.person, starts_on, planned_end, tutor=row.tutor)
        row.enrolment = Enrolment(row.role, starts_on, planned_end)
        row.person.enrolments.append(row.enrolment)
        return row

    def rekey(self, row: Row, key: str | None = None) -> str:
        """Give a row another key; returns the old one."""
        old, row.key = row.key, key or self._next_key()
        return old

    def reuse_key(self, row: Row, person: Person) -> Row:
        """Give the key of a row to another person, who takes up the same programme; the row goes."""
        self.remove(row)
        enrolment = Enrolment(row.role, row.enrolment.starts_on, row.enrolment.planned_end)
        return self._add(person, enrolment, row.key, row.tutor)

    def double(self, row: Row, key: str | None = None) -> Row:
        """Enter somebody a second time for the same programme, under another key."""
        return self._add(row.person, row.enrolment, key, row.tutor)

    def shift(self, rows: list[Row], *names: str) -> None:
        """Have each of these rows show these fields of the next one, as a spreadsheet does after a wrong sort."""
        values = [row.fields for row in rows]
        for row, others in zip(rows, values[1:] + values[:1], strict=True):
            row.shows |= {name: others.get(name) for name in names}

    def publish(self) -> None:
        """Have the database show all of this, in one transaction."""
        self._published = {}
        for row in self.rows:
            self._published.setdefault((row.role, row.key), []).append(row)
        rows = [
            {
                "role": row.role.value,
                "ref": row.key,
                "person_ref": f"S{row.person.number:06}",
                "starts_on": row.enrolment.starts_on,
                "ends_on": row.enrolment.planned_end,
                "tutor": row.tutor,
                **{column: row.fields.get(name) for name, column in _COLUMNS.items()},
                "born_on": date.fromisoformat(row.fields["DOB"]) if "DOB" in row.fields else None,
            }
            for row in self.rows
        ]
        with self.engine.begin() as connection:
            connection.execute(delete(_PEOPLE))
            if rows:
                connection.execute(insert(_PEOPLE), rows)

    def _add(self, person: Person, enrolment: Enrolment, key: str | None, tutor: str | None = None) -> Row:
        row = Row(person, enrolment, key or self._next_key(), tutor)
        self.history.append(row)
        if enrolment not in person.enrolments:
            person.enrolments.append(enrolment)
        return row

    def _next_key(self) -> str:
        self._last_key += 1
        return f"{'E' if self.keyed_by is KeyedBy.ENROLMENT else 'P'}{100_000 + self._last_key}"


def feed(role: Role, *, dates: bool = True, person_key: bool = False, without: tuple[str, ...] = ()) -> str:
    """The SQL of a feed of one role; learners are in one class and one placement, which OneFile has already.

    ``dates`` adds the programme's dates, ``person_key`` the MIS's own key of the person; ``without`` leaves out fields.
    """
    columns = {"MISID": "ref"} | {name: column for name, column in _COLUMNS.items() if name not in without}
    if role is Role.LEARNER:
        columns |= {"ClassroomID": f"{CLASSROOM}", "PlacementID": f"{PLACEMENT}", "DefaultAssessorMISID": "tutor"}
        columns |= {"StartOn": "starts_on", "PlannedEndDate": "ends_on"} if dates else {}
    else:
        columns = {name: column for name, column in columns.items() if name not in {"ULN", "NINO"}}
    columns |= {"PersonKey": "person_ref"} if person_key else {}
    return f"SELECT {', '.join(_selected(columns))}\nFROM people WHERE role = '{role}'"


def _selected(columns: dict[str, str]) -> Iterator[str]:
    return (f"{column} AS {name}" for name, column in columns.items())
