"""Who somebody truly is, whatever an MIS or OneFile says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from syncd.core.fields import Role

#: The number that stands for "no ULN yet" and so for nobody (§15).
NO_ULN_YET: Final = "9999999999"

#: The fields that say who somebody is, by OneFile's names.
IDENTIFYING: Final = ("FirstName", "LastName", "Email", "DOB", "ULN", "NINO")


@dataclass(eq=False, slots=True)
class Enrolment:
    """One programme of a learner, or one employment of a member of staff."""

    role: Role
    starts_on: date | None = None
    planned_end: date | None = None


@dataclass(eq=False, slots=True)
class Person:
    """One person, with the values of today; two with equal values are still two."""

    number: int
    """Their true identity. No MIS and no OneFile knows it."""
    first_name: str
    last_name: str
    email: str
    dob: date | None = None
    """Empty if nobody has asked; everybody has one."""
    uln: str = ""
    nino: str = ""
    enrolments: list[Enrolment] = field(default_factory=list)
    """The oldest first."""
    _ever: dict[str, set[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_known_by(**self.fields)

    @property
    def fields(self) -> dict[str, str]:
        """The values of today by OneFile's names, without empty ones."""
        values = {
            "FirstName": self.first_name,
            "LastName": self.last_name,
            "Email": self.email,
            "DOB": self.dob.isoformat() if self.dob else "",
            "ULN": self.uln,
            "NINO": self.nino,
        }
        return {name: value for name, value in values.items() if value}

    def change(self, **attributes: Any) -> None:
        """Have other values from now on, such as a married name."""
        for name, value in attributes.items():
            setattr(self, name, value)
        self.is_known_by(**self.fields)

    def is_known_by(self, **fields: str) -> None:
        """Note further values that mean this person, such as a short name or a date that was typed wrongly."""
        for name, value in fields.items():
            self._ever.setdefault(name, set()).add(comparable(name, value))

    @property
    def ever(self) -> Mapping[str, set[str]]:
        """Every value that this person has or had, by field, as `comparable` makes them."""
        return self._ever

    def may_have(self, fields: Mapping[str, str]) -> bool:
        """Whether each of these values is one that this person has or had."""
        return all(comparable(name, value) in self._ever.get(name, ()) for name, value in fields.items())


def identifying(fields: Mapping[str, Any]) -> dict[str, str]:
    """Those of OneFile's fields that say who somebody is, if they have a value that does."""
    found = {name: str(fields[name]) for name in IDENTIFYING if fields.get(name)}
    return {name: value for name, value in found.items() if (name, value) != ("ULN", NO_ULN_YET)}


def comparable(field_name: str, value: str) -> str:
    """A value without letter case and surrounding blanks, and a date without its time of day."""
    return value[:10] if field_name == "DOB" else " ".join(value.split()).casefold()
