"""What the state store knows of an account, without its stored values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Where an account stands."""

    ACTIVE = "active"
    LEAVER = "leaver"
    ARCHIVED = "archived"
    UNSURE = "unsure"
    """Its record was gone, and the answer to the call that archived or unarchived it was lost."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account as the state store lists it."""

    user_id: int | None
    """OneFile's id of it; ``None`` while OneFile has accepted the create and the id is not found yet."""
    status: Status
    fingerprint: str
    """Of the record that was last sent or compared."""
    left_at: datetime | None = None
    needs_recheck: bool = False
    """The next run compares the record value by value, even if its fingerprint is the same."""
    days_gone: int = 0
    """The days with a complete reading of the feeds since the one on which its record was first missed."""

    @property
    def is_settled(self) -> bool:
        """Whether it is in use and its id is known."""
        return self.status is Status.ACTIVE and self.user_id is not None

    @property
    def is_usable(self) -> bool:
        """Whether other records may refer to it; an archived account must not be referred to."""
        return self.status in {Status.ACTIVE, Status.LEAVER} and self.user_id is not None

    def is_in_step_with(self, fingerprint: str) -> bool:
        """Whether a record with this fingerprint needs no step and no comparison."""
        return self.is_settled and not self.needs_recheck and self.fingerprint == fingerprint
