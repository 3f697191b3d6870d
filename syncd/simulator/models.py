"""Who and what lives in the simulated OneFile: plain data."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Organisation:
    """A centre (§7)."""

    id: int
    name: str
    creates_keychains: bool = False
    """KeychainCreationForNewUserActive: creates answer nothing and e-mail the user (§8.3)."""
    suppresses_emails: bool = False
    """KeychainEmailSuppression: only kept and shown, since nobody knows what it does (U28)."""
    learner_statuses: dict[int, str] = field(default_factory=dict)
    """Its own list, id to name; the same id means something else in another organisation (§7)."""


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
        """The key the MIS knows it by, if any."""
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
    """Its fields, in OneFile's spelling, but for ID, OrganisationID, Role and Username."""
    is_archived: bool = False

    @property
    def misid(self) -> str | None:
        """The key the MIS knows it by; neither there nor unique in every account (§16)."""
        return self.values.get("MISID")


@dataclass(frozen=True, slots=True, order=True)
class Assignment:
    """Somebody who works with a learner (§11)."""

    user_id: int
    """The assessor, IQA, employer or observer."""
    learner_id: int
    level: int
    """1 the learner as a whole, 2 one unit, 3 one learning aim."""
    unit_id: str | None = None
    standard_id: int | None = None


@dataclass(frozen=True, slots=True)
class Email:
    """A message that OneFile would have sent: an invitation to verify a Keychain (§8.3)."""

    user_id: int
    address: str
