"""OneFile's roles, places and fields: the one catalogue for feeds, validation and comparison.

Sections named in ``source`` are those of the OneFile API fact sheet (§8.2 is the table of fields of a create).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a record is in OneFile: a user of a role that the API can create (§8.1), or one of the places (§9, §10)."""

    LEARNER = "Learner"
    TRAINEE_ASSESSOR = "Trainee Assessor"
    ASSESSOR = "Assessor"
    IQA = "IQA"
    EMPLOYER = "Employer"
    OBSERVER = "Observer"
    PLACEMENT = "Placement"
    CLASSROOM = "Classroom"

    @property
    def number(self) -> int:
        """OneFile's id of a user's role (§8.1); places have none."""
        return _ROLE_NUMBERS[self]

    @property
    def is_place(self) -> bool:
        """Whether it is a classroom or a placement, not a user."""
        return self in PLACES

    @property
    def sharing_ids(self) -> tuple["Role", ...]:
        """The roles of which one id in OneFile means one thing: all users together, or one kind of place."""
        return (self,) if self.is_place else USERS


_ROLE_NUMBERS: Final = {
    Role.LEARNER: 1,
    Role.TRAINEE_ASSESSOR: 4,
    Role.ASSESSOR: 5,
    Role.IQA: 10,
    Role.EMPLOYER: 40,
    Role.OBSERVER: 45,
}

PLACES: Final = (Role.PLACEMENT, Role.CLASSROOM)
USERS: Final = tuple(_ROLE_NUMBERS)
ROLE_BY_NUMBER: Final = {number: role for role, number in _ROLE_NUMBERS.items()}

#: A record comes after those it refers to (§17, pitfall 11), so that no two can wait for each other.
SENDING_ORDER: Final = (
    *PLACES,
    Role.ASSESSOR,
    Role.TRAINEE_ASSESSOR,
    Role.IQA,
    Role.EMPLOYER,
    Role.OBSERVER,
    Role.LEARNER,
)


class Kind(StrEnum):
    """How a field's value is read and checked."""

    TEXT = "text"
    LINES = "lines"
    """Text whose line breaks matter: the addresses."""
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    """A calendar day; the time of day in the MIS is ignored (§15)."""
    MOMENT = "moment"
    EMAIL = "email"
    ULN = "uln"
    NINO = "nino"


class Referent(StrEnum):
    """What an id field points at, if the MIS has only its own code for it."""

    ASSESSOR = "assessor"
    EMPLOYER = "employer"
    CLASSROOM = "classroom"
    PLACEMENT = "placement"
    LEARNER_STATUS = "learner status"

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles whose accounts can be meant, the likelier first; none for a learner status."""
        return _REFERENT_ROLES[self]


_REFERENT_ROLES: Final[dict[Referent, tuple[Role, ...]]] = {
    Referent.ASSESSOR: (Role.ASSESSOR, Role.TRAINEE_ASSESSOR),
    Referent.EMPLOYER: (Role.EMPLOYER,),
    Referent.CLASSROOM: (Role.CLASSROOM,),
    Referent.PLACEMENT: (Role.PLACEMENT,),
    Referent.LEARNER_STATUS: (),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a OneFile user, classroom or placement."""

    name: str
    kind: Kind
    source: str
    """The section of the fact sheet that documents it."""
    roles: frozenset[Role] = frozenset(USERS)
    """The roles that have the field at all."""
    mandatory: frozenset[Role] = frozenset()
    """The roles that cannot be created without it."""
    special: bool = False
    """Special-category data under the UK GDPR, or a national identifier treated as such."""
    referent: Referent | None = None
    """What the id points at, if it is an id."""


@dataclass(frozen=True, slots=True)
class ReferenceColumn:
    """A column with a code of the MIS for an id field, instead of OneFile's id."""

    name: str
    field: str
    by: str
    """``MISID`` or ``Name``: what the code is matched with in OneFile."""


_EVERYONE: Final = frozenset(USERS)
_LEARNER: Final = frozenset({Role.LEARNER})
_EMPLOYER: Final = frozenset({Role.EMPLOYER})
_PLACED: Final = frozenset({Role.LEARNER, Role.EMPLOYER, Role.OBSERVER})
_PLACES: Final = frozenset(PLACES)
_CLASSROOM: Final = frozenset({Role.CLASSROOM})
_PLACEMENT: Final = frozenset({Role.PLACEMENT})

#: The one field that is not in a create or update: a separate call sets whether an employer may see all learners of
#: their placement (§11).
GRANT: Final = "GrantAccess"

_CATALOGUE: Final = (
    Field("MISID", Kind.TEXT, "§8.2, §9, §10, §16", roles=_EVERYONE | _PLACES),
    Field("FirstName", Kind.TEXT, "§8.2", mandatory=_EVERYONE),
    Field("LastName", Kind.TEXT, "§8.2", mandatory=_EVERYONE),
    Field("Email", Kind.EMAIL, "§8.2, §10", roles=_EVERYONE | _PLACEMENT, mandatory=_EVERYONE),
    Field(
        "DefaultAssessorID",
        Kind.INTEGER,
        "§8.2",
        roles=_LEARNER,
        mandatory=_LEARNER,
        referent=Referent.ASSESSOR,
    ),
    Field("ClassroomID", Kind.INTEGER, "§8.2", roles=_LEARNER, mandatory=_LEARNER, referent=Referent.CLASSROOM),
    Field("PlacementID", Kind.INTEGER, "§8.2", roles=_PLACED, mandatory=_PLACED, referent=Referent.PLACEMENT),
    Field("CreatedOn", Kind.MOMENT, "§8.2"),
    Field("MobileNumber", Kind.TEXT, "§8.2"),
    Field("Telephone", Kind.TEXT, "§8.2, §10", roles=_EVERYONE | _PLACEMENT),
    Field("Website", Kind.TEXT, "§8.2"),
    Field("WorkAddress", Kind.LINES, "§8.2"),
    Field("HomeAddress", Kind.LINES, "§8.2"),
    Field("DOB", Kind.DATE, "§8.2, §15"),
    Field("CompanyName", Kind.TEXT, "§8.2", roles=_LEARNER),
    Field("ProviderID", Kind.INTEGER, "§8.2", roles=_LEARNER),
    Field("DefaultEmployerID", Kind.INTEGER, "§8.2", roles=_LEARNER, referent=Referent.EMPLOYER),
    Field("ULN", Kind.ULN, "§8.2, §15", roles=_LEARNER),
    Field("NINO", Kind.NINO, "§8.2, §15", roles=_LEARNER, special=True),
    Field("EpisodeName", Kind.TEXT, "§8.2", roles=_LEARNER),
    Field("CentreRegister", Kind.DATE, "§8.2, §15", roles=_LEARNER),
    Field("StartOn", Kind.DATE, "§8.2, §9, §15", roles=_LEARNER | _CLASSROOM),
    Field("PlannedEndDate", Kind.DATE, "§8.2, §15", roles=_LEARNER),
    Field("L12", Kind.TEXT, "§8.2, §15: ethnicity", roles=_LEARNER, special=True),
    Field("L13", Kind.TEXT, "§8.2, §15: sex", roles=_LEARNER, special=True),
    Field("L14", Kind.TEXT, "§8.2, §15: difficulty, disability or health problem", roles=_LEARNER, special=True),
    Field("L15", Kind.TEXT, "§8.2, §15: disability", roles=_LEARNER, special=True),
    Field("L16", Kind.TEXT, "§8.2, §15: learning difficulty", roles=_LEARNER, special=True),
    Field("SupportFunding", Kind.BOOLEAN, "§8.2", roles=_LEARNER),
    Field("LearnerStatusID", Kind.INTEGER, "§7, §8.2", roles=_LEARNER, referent=Referent.LEARNER_STATUS),
    Field(GRANT, Kind.BOOLEAN, "§11: AssignPlacement", roles=_EMPLOYER),
    Field("Name", Kind.TEXT, "§9, §10", roles=_PLACES, mandatory=_PLACES),
    Field("Address", Kind.LINES, "§10", roles=_PLACEMENT),
    Field("Active", Kind.BOOLEAN, "§10", roles=_PLACEMENT),
    Field("Contact", Kind.TEXT, "§10", roles=_PLACEMENT),
    Field("Fax", Kind.TEXT, "§10", roles=_PLACEMENT),
    Field("Web", Kind.TEXT, "§10", roles=_PLACEMENT),
    Field("Archive", Kind.BOOLEAN, "§9", roles=_CLASSROOM),
    Field("CompletionMessage", Kind.LINES, "§9", roles=_CLASSROOM),
    Field("SendCompletionMessage", Kind.BOOLEAN, "§9", roles=_CLASSROOM),
    Field("IVFinalSignOff", Kind.BOOLEAN, "§9", roles=_CLASSROOM),
)

FIELDS: Final[dict[str, Field]] = {field.name: field for field in _CATALOGUE}

REFERENCE_COLUMNS: Final[dict[str, ReferenceColumn]] = {
    column.name: column
    for column in (
        ReferenceColumn("DefaultAssessorMISID", "DefaultAssessorID", "MISID"),
        ReferenceColumn("DefaultEmployerMISID", "DefaultEmployerID", "MISID"),
        ReferenceColumn("ClassroomMISID", "ClassroomID", "MISID"),
        ReferenceColumn("ClassroomName", "ClassroomID", "Name"),
        ReferenceColumn("PlacementMISID", "PlacementID", "MISID"),
        ReferenceColumn("PlacementName", "PlacementID", "Name"),
        ReferenceColumn("LearnerStatusName", "LearnerStatusID", "Name"),
    )
}

#: Not a field that is ever updated: it and the role make up an account's identity (§8.7).
ORGANISATION_COLUMN: Final = "OrganisationID"
PERSON_COLUMN: Final = "PersonKey"
"""The column of the MIS's own key of a person, which stays the same from one enrolment to the next; never sent."""


def fields_of(role: Role) -> dict[str, Field]:
    """The fields an account of this role can carry, by name."""
    return {name: field for name, field in FIELDS.items() if role in field.roles}


def is_mandatory(role: Role, name: str) -> bool:
    """Whether an account of this role cannot be created without a field; another field may be left out."""
    return role in FIELDS[name].mandatory


def columns_of(role: Role) -> dict[str, str]:
    """Every column a feed of this role may have: its name in lower case to its proper spelling."""
    fields = fields_of(role)
    references = (name for name, column in REFERENCE_COLUMNS.items() if column.field in fields)
    own = (ORGANISATION_COLUMN,) if role.is_place else (ORGANISATION_COLUMN, PERSON_COLUMN)
    return {name.lower(): name for name in (*fields, *references, *own)}
