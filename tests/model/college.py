"""What the MIS has, and what must follow from it: written without a look at syncd."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sqlalchemy import Engine, text

LEARNER: Final = 1
ASSESSOR: Final = 5
ROLES: Final = {LEARNER: "Learner", ASSESSOR: "Assessor"}

CLASSROOMS: Final = {"Business Admin L2": 15379, "Welding": 15380}
PLACEMENT: Final = 18928

#: One begins like another, two look like one, one is a tutor's too.
LEARNERS: Final = ("1", "12", "L-1", "l-1", "Å 5", "A1", "77", "077", "N1")
ASSESSORS: Final = ("A1", "A2", "A3")

_COLUMNS: Final = "misid AS MISID, forename AS FirstName, surname AS LastName, email AS Email, phone AS Telephone"
FEEDS: Final = {
    LEARNER: f"SELECT {_COLUMNS}, uln AS ULN, starts AS StartOn, ends AS PlannedEndDate, dob AS DOB, "
    "classroom AS ClassroomName, placement AS PlacementID, assessor AS DefaultAssessorMISID FROM person WHERE role = 1",
    ASSESSOR: f"SELECT {_COLUMNS} FROM person WHERE role = 5",
}


class Who(NamedTuple):
    """What makes an account one and the same, within the organisation."""

    role: int
    misid: str


class Human(NamedTuple):
    """A person, whatever the MIS calls them; in each role of their own."""

    role: int
    number: int

    @property
    def forename(self) -> str:
        """Which nobody else has, and which never changes: by it an account shows whose it is."""
        return f"{'LT'[self.role != LEARNER]}{self.number:03}"

    @property
    def email(self) -> str:
        return f"{self.forename.lower()}@example.org"

    @property
    def uln(self) -> str:
        return _valid_uln(self.number)


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the MIS."""

    who: Who
    human: Human
    surname: str
    email: str | None
    phone: str | None = None
    dob: str | None = None
    classroom: str = "Business Admin L2"
    assessor: str = "A1"
    year: int = 0

    @classmethod
    def new(cls, who: Who, human: Human, year: int = 0) -> "Person":
        return cls(who, human, "Old", human.email, year=year)

    def mended(self) -> "Person":
        """Without what keeps it from being sent."""
        return replace(
            self, email=self.email or self.human.email, assessor="A1" if self.assessor == "NOBODY" else self.assessor
        )

    @property
    def starts(self) -> str:
        return f"{2026 + self.year}-09-01"

    @property
    def ends(self) -> str:
        return f"{2027 + self.year}-07-31"

    @property
    def values(self) -> dict[str, str | int]:
        """What OneFile must show of it, but for the assessor's id."""
        told: dict[str, str | int | None] = {
            "MISID": self.who.misid,
            "FirstName": self.human.forename,
            "LastName": self.surname,
            "Email": self.email,
            "Telephone": self.phone,
        }
        if self.who.role == LEARNER:
            dob = f"{self.dob}T00:00:00.000Z" if self.dob and self.dob[0].isdigit() else None
            told |= {
                "DOB": dob,
                "ULN": self.human.uln,
                "StartOn": f"{self.starts}T00:00:00.000Z",
                "PlannedEndDate": f"{self.ends}T00:00:00.000Z",
                "ClassroomID": CLASSROOMS[self.classroom],
                "PlacementID": PLACEMENT,
            }
        return {name: value for name, value in told.items() if value is not None}


@dataclass(slots=True)
class College:
    """The rows, in order; a person may have several."""

    rows: list[Person] = field(default_factory=list)
    _first: dict[Who, Human] = field(default_factory=dict)
    _enrolled: dict[Who, Human] = field(default_factory=dict)
    """Who was last enrolled under a MISID that has not been changed since."""
    _enrolments: Counter[Human] = field(default_factory=Counter)
    _humans: int = 0
    _ever: set[Who] = field(default_factory=set)
    """The MISIDs that there have been."""
    _stories: set[Who | Human] = field(default_factory=set)
    """The MISIDs and people about whom there may be a question."""

    def of(self, who: Who) -> list[Person]:
        return [row for row in self.rows if row.who == who]

    @property
    def people(self) -> set[Who]:
        return {row.who for row in self.rows}

    def enrol(self, who: Who) -> None:
        """Somebody joins, or is back, under the MISID that has always been theirs."""
        if not self.of(who):
            human = self._first.get(who) or self._first.setdefault(who, self._next_human(who.role))
            self._begin(Person.new(who, human), is_new=self._enrolled.get(who) != human)

    def reuse(self, who: Who) -> None:
        """The MIS gives the MISID to another person."""
        for row in self.of(who)[:1]:
            self._stories |= {who, row.human}
            self.withdraw(who)
            self._begin(Person.new(who, self._next_human(who.role), row.year))

    def rekey(self, who: Who, new: Who) -> None:
        """The MIS gives the person another MISID."""
        if len(rows := self.of(who)) == 1 and not self.of(new) and who.role == new.role:
            self._stories |= {who, new, rows[0].human}
            self.withdraw(who)
            self._enrolled.pop(who, None)
            self._begin(replace(rows[0].mended(), who=new), is_new=False)

    def next_programme(self, who: Who, new: Who, *, remains: bool) -> None:
        """The person starts another programme, under another MISID; the old row may stay."""
        if len(rows := self.of(who)) == 1 and not self.of(new) and who.role == new.role == LEARNER:
            self._stories |= {who, new, rows[0].human}
            if not remains:
                self.withdraw(who)
            self._begin(replace(rows[0].mended(), who=new, year=rows[0].year + 1))

    def join_again(self, who: Who, new: Who) -> None:
        """The person has a second record at the same time."""
        if len(rows := self.of(who)) == 1 and not self.of(new) and who.role == new.role:
            self._stories |= {who, new, rows[0].human}
            self._begin(replace(rows[0].mended(), who=new))

    def may_be_asked_about(self, who: Who) -> bool:
        """Whether a person has to say who is who: of lookalikes, and of those of whom there is a story."""
        alike = {other for other in self._ever if other.role == who.role and _look(other) == _look(who)}
        return len(alike | {who}) > 1 or not self._stories.isdisjoint({who, *(row.human for row in self.of(who))})

    def accounts_due_to(self, role: int, forename: str) -> int:
        """How many accounts the person may have at most: one for each enrolment, whatever its MISIDs."""
        return self._enrolments[Human(role, int(forename[1:]))]

    def _begin(self, row: Person, *, is_new: bool = True) -> None:
        self._enrolled[row.who] = row.human
        self._ever.add(row.who)
        self._enrolments[row.human] += is_new
        self.rows.append(row)

    def _next_human(self, role: int) -> Human:
        self._humans += 1
        return Human(role, self._humans)

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
                    " placement, assessor, uln, starts, ends)"
                )
            )
            for row in self.rows:
                connection.execute(
                    text(
                        "INSERT INTO person VALUES (:role, :misid, :forename, :surname, :email, :phone, :dob,"
                        " :classroom, :placement, :assessor, :uln, :starts, :ends)"
                    ),
                    {
                        "role": row.who.role,
                        "misid": row.who.misid,
                        "forename": row.human.forename,
                        "uln": row.human.uln,
                        "starts": row.starts,
                        "ends": row.ends,
                        "surname": row.surname,
                        "email": row.email,
                        "phone": row.phone,
                        "dob": row.dob,
                        "classroom": row.classroom,
                        "placement": PLACEMENT,
                        "assessor": row.assessor,
                    },
                )


def _look(who: Who) -> str:
    return who.misid.lower().lstrip("0")


def _valid_uln(number: int) -> str:
    """The ULN of a person: ten digits, whose weighted sum leaves 10 when divided by 11."""
    candidates = (f"{1_000_000_000 + 100 * number + extra}" for extra in range(100))
    weights = range(10, 0, -1)
    return next(
        uln
        for uln in candidates
        if sum(weight * int(digit) for weight, digit in zip(weights, uln, strict=True)) % 11 == 10
    )
