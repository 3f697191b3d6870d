"""What is known of an account without opening its values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """Where an account stands."""

    ACTIVE = "active"
    LEAVER = "leaver"
    ARCHIVED = "archived"
    UNSURE = "unsure"
    """Its record has been gone, and the answer to archiving it or bringing it back was lost."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account as the state store lists it."""

    user_id: int | None
    """OneFile's id of it; ``None`` while OneFile has accepted the create and the id is still to be found."""
    status: Status
    fingerprint: str
    left_at: datetime | None = None

    @property
    def is_settled(self) -> bool:
        """Whether it is there, known by its id, and in use: an unchanged record then asks nothing."""
        return self.status is Status.ACTIVE and self.user_id is not None

    @property
    def is_usable(self) -> bool:
        """Whether others may refer to it, which the archived are no good for."""
        return self.status in {Status.ACTIVE, Status.LEAVER} and self.user_id is not None
