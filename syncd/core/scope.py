"""The scope of a run: everyone, or the records with certain MISIDs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self


@dataclass(frozen=True, slots=True)
class Scope:
    """Which records a run is about. ``misid in scope`` says whether it covers a record."""

    misids: frozenset[str] | None
    """The MISIDs that it is limited to; ``None`` if it is not limited."""

    @classmethod
    def everyone(cls) -> Self:
        """All records of the organisation."""
        return cls(None)

    @classmethod
    def of(cls, misids: Iterable[str]) -> Self:
        """The records with these MISIDs, in any role."""
        return cls(frozenset(misids))

    @classmethod
    def nothing(cls) -> Self:
        """No record: the plan was not made from the feeds."""
        return cls(frozenset())

    @property
    def is_everyone(self) -> bool:
        """Whether it covers all records."""
        return self.misids is None

    @property
    def is_empty(self) -> bool:
        """Whether it covers no record."""
        return self.misids == frozenset()

    def __contains__(self, misid: object) -> bool:
        return self.misids is None or misid in self.misids


EVERYONE: Final = Scope.everyone()
NOTHING: Final = Scope.nothing()
