"""What the MIS has, and what must follow from it: written without a look at syncd."""

from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sqlalchemy import Engine, text

LEARNER: Final = 1
ASSESSOR: Final = 5
ROLES: Final = {LEARNER: "Learner", ASSESSOR: "Assessor"}

CLASSROOMS: Final = {"Business Admin L2": 15379, "Welding": 15380}
PLACEMENT: Final = 18928

#: One begins like another, one differs in case only, one is a tutor's too.
LEARNERS: Final = ("1", "12", "L-1", "l-1", "Å 5", "A1", "77")
ASSESSORS: Final = ("A1", "A2", "A3")

_COLUMNS: Final = "misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone"
FEEDS: Final = {
    LEARNER: f"SELECT {_COLUMNS}, dob AS DOB, classroom AS ClassroomName, placement AS PlacementID, "
    "assessor AS DefaultAssessorMISID FROM person WHERE role = 1",
    ASSESSOR: f"SELECT {_COLUMNS} FROM person WHERE role = 5",
}


class Who(NamedTuple):
    """What makes an account one and the same, within the organisation."""

    role: int
    misid: str


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the MIS."""

    who: Who
    surname: str
    email: str | None
    phone: str | None = None
    dob: str | None = None
    classroom: str = "Business Admin L2"
    assessor: str = "A1"

    @classmethod
    def new(cls, who: Who) -> "Person":
        return cls(who, "Old", _address(who))

    def mended(self) -> "Person":
        """Without what keeps it from being sent."""
        return replace(
            self, email=self.email or _address(self.who), assessor="A1" if self.assessor == "NOBODY" else self.assessor
        )

    @property
    def values(self) -> dict[str, str | int]:
        """What OneFile must show of it, but for the assessor's id."""
        told: dict[str, str | int | None] = {
            "MISID": self.who.misid,
            "FirstName": "Ann",
            "LastName": self.surname,
            "Email": self.email,
            "Telephone": self.phone,
        }
        if self.who.role == LEARNER:
            dob = f"{self.dob}T00:00:00.000Z" if self.dob and self.dob[0].isdigit() else None
            told |= {"DOB": dob, "ClassroomID": CLASSROOMS[self.classroom], "PlacementID": PLACEMENT}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(slots=True)
class College:
    """The rows, in order; a person may have several."""

    rows: list[Person] = field(default_factory=list)

    def of(self, who: Who) -> list[Person]:
        return [row for row in self.rows if row.who == who]

    @property
    def people(self) -> set[Who]:
        return {row.who for row in self.rows}

    def enrol(self, who: Who) -> None:
        if not self.of(who):
            self.rows.append(Person.new(who))

    def double(self, who: Who) -> None:
        self.rows.extend(self.of(who)[:1])

    def withdraw(self, who: Who) -> None:
        self.rows = [row for row in self.rows if row.who != who]

    def edit(self, who: Who, **columns: str | None) -> None:
        self.rows = [replace(row, **columns) if row.who == who else row for row in self.rows]  # type: ignore[arg-type]

    def mend(self, who: Who) -> None:
        if rows := self.of(who):
            place = self.rows.index(rows[0])
            self.withdraw(who)
            self.rows.insert(place, rows[0].mended())

    def fault_of(self, who: Who) -> str:
        """Why the record of this person cannot be sent, whatever OneFile has; nothing if it can."""
        rows = self.of(who)
        if len(rows) > 1:
            return "duplicate_key"
        if not rows[0].email:
            return "missing"
        if who.role == LEARNER and rows[0].assessor == "NOBODY":
            return "reference_not_found"
        return ""

    def publish(self, engine: Engine) -> None:
        """Make the database say so."""
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE IF EXISTS person"))
            connection.execute(
                text(
                    "CREATE TABLE person (role, misid, forename, surname, email, phone, dob, classroom,"
                    " placement, assessor)"
                )
            )
            for row in self.rows:
                connection.execute(
                    text(
                        "INSERT INTO person VALUES (:role, :misid, 'Ann', :surname, :email, :phone, :dob, :classroom,"
                        " :placement, :assessor)"
                    ),
                    {
                        "role": row.who.role,
                        "misid": row.who.misid,
                        "surname": row.surname,
                        "email": row.email,
                        "phone": row.phone,
                        "dob": row.dob,
                        "classroom": row.classroom,
                        "placement": PLACEMENT,
                        "assessor": row.assessor,
                    },
                )


def _address(who: Who) -> str:
    return f"person{'.'.join(str(ord(letter)) for letter in who.misid)}@example.org"
