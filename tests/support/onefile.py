"""What is in the simulated OneFile of a small college, and a client's rate limit without a store."""

from collections.abc import Callable
from typing import Any, Final

ORGANISATION: Final = 5740
CLASSROOM: Final = 15379
PLACEMENT: Final = 18928
ASSESSOR: Final = 300_001

#: Beside the class and the placement that the simulator always has, one assessor.
SEED: Final[dict[str, list[dict[str, Any]]]] = {
    "users": [
        {
            "ID": ASSESSOR,
            "OrganisationID": ORGANISATION,
            "Role": 5,
            "MISID": "A1",
            "FirstName": "Siân",
            "LastName": "Pryce",
        }
    ]
}
#: What makes a learner.
LEARNER: Final[dict[str, Any]] = {
    "MISID": "L1",
    "FirstName": "Ann",
    "LastName": "Example",
    "Email": "ann@example.org",
    "DefaultAssessorID": ASSESSOR,
    "ClassroomID": CLASSROOM,
    "PlacementID": PLACEMENT,
}


class MemoryRateLimit:
    """The next slot, kept in memory."""

    def __init__(self) -> None:
        self.next_slot_us = 0

    def advance(self, step: Callable[[int], tuple[int, float]]) -> float:
        """Replace the slot by what `step` makes of it, and return the seconds to wait."""
        self.next_slot_us, seconds = step(self.next_slot_us)
        return seconds
