"""The objects of the simulated OneFile: plain data."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Organisation:
    """A centre (§7)."""

    id: int
    name: str
    creates_keychains: bool = False
    """KeychainCreationForNewUserActive: a create returns no details and e-mails the user (§8.3)."""
    suppresses_emails: bool = False
    """KeychainEmailSuppression: only stored and shown; its effect is not documented (U28)."""
    learner_statuses: dict[int, str] = field(default_factory=dict)
    """By id, its name; the same id has another meaning in another organisation (§7)."""


@dataclass(slots=True)
class Place:
    """A classroom or a placement (§9, §10)."""

    id: int
    organisation_id: int
    created_at: float
    """By the simulator's clock, in seconds, as are all times here."""
    values: dict[str, Any] = field(default_factory=dict)
    """Its fields, in OneFile's spelling."""

    @property
    def name(self) -> str | None:
        """Its name; only a seed can leave it out."""
        return self.values.get("Name")

    @property
    def misid(self) -> str | None:
        """The MIS's key of it, if any."""
        return self.values.get("MISID")


@dataclass(slots=True)
class User:
    """An account (§8)."""

    id: int
    organisation_id: int
    role: int
    username: str
    created_at: float
    modified_at: float
    values: dict[str, Any] = field(default_factory=dict)
    """Its fields, in OneFile's spelling, except ID, OrganisationID, Role and Username."""
    is_archived: bool = False

    @property
    def misid(self) -> str | None:
        """The MIS's key of it; it may be missing or not unique (§16)."""
        return self.values.get("MISID")


@dataclass(frozen=True, slots=True, order=True)
class Assignment:
    """A user assigned to a learner (§11)."""

    user_id: int
    """The assessor, IQA, employer or observer."""
    learner_id: int
    level: int
    """1 for the learner as a whole, 2 for one unit, 3 for one learning aim."""
    unit_id: str | None = None
    standard_id: int | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """A message that OneFile would have sent: an invitation to verify a Keychain (§8.3)."""

    user_id: int
    address: str
