"""Resolve the codes of the MIS: to the accounts of the feeds' records, else to ids looked up in OneFile.

What was looked up is kept. A person may move a MISID or a name to another account in OneFile, so each code is looked up
again once a day, as soon as OneFile refuses a change with its id, and every hour while OneFile has no id for it.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from syncd.core.accounts import Known
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Held, Key, Reason, Record

Resolved: TypeAlias = int | Key | Reason
"""What a code stands for: an id, an account that this run creates first, or why neither is known."""

#: The longest time for which a code that was moved to another account in OneFile still resolves to the old one.
_LASTS: Final = timedelta(days=1)
#: The longest time for which the daemon does not notice a class just created in OneFile.
_NOTHING_LASTS: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What OneFile had for a code when it was last searched."""

    meaning: int | Reason
    """The id, or why there is none: not found, or ambiguous."""
    found_at: datetime
    is_doubted: bool = False
    """Whether OneFile has refused a change with this id since."""

    @property
    def has_id(self) -> bool:
        """Whether OneFile had an id for it."""
        return isinstance(self.meaning, int)

    def is_outdated(self, now: datetime) -> bool:
        """Whether this is too long ago; a time in the future means that the clock was set back."""
        return not timedelta() <= now - self.found_at < (_LASTS if self.has_id else _NOTHING_LASTS)

    def is_due(self, now: datetime) -> bool:
        """Whether the code must be looked up again before it is used."""
        return self.is_doubted or self.is_outdated(now)


def ids_of(looked_up: Mapping[Code, LookedUp]) -> dict[Code, int]:
    """The ids of the codes that have one, of any age: records were last compared with these."""
    return {code: each.meaning for code, each in looked_up.items() if isinstance(each.meaning, int)}


def is_check_due(looked_up: Iterable[LookedUp], now: datetime) -> bool:
    """Whether an id must be looked up again, which takes a full read: records that have not changed may have it."""
    return any(each.has_id and each.is_due(now) for each in looked_up)


def trusted(looked_up: Mapping[Code, LookedUp], in_use: Set[Code], now: datetime) -> dict[Code, int | Reason]:
    """What is known of the codes ``in_use`` without a look-up.

    If an id is outdated, none is trusted: all are looked up together, which takes the fewest calls a day.
    """
    used = {code: looked_up[code] for code in in_use if code in looked_up}
    are_ids_outdated = any(each.has_id and each.is_outdated(now) for each in used.values())
    return {
        code: each.meaning
        for code, each in used.items()
        if not each.is_due(now) and not (each.has_id and are_ids_outdated)
    }


_REFERENTS: Final[dict[Role, Referent]] = {role: referent for referent in Referent for role in referent.roles}


class References:
    """Resolves codes while the feeds are read: a record is read before those that refer to it.

    ``changed`` are the records that this run may send, filled while it reads; ``looked_up`` are the ids that OneFile
    has returned for codes, at any time. ``unanswered`` are the codes that no account of the feeds answers to.
    """

    def __init__(
        self, known: Mapping[Key, Known], changed: Set[Key], looked_up: Mapping[Code, int] | None = None
    ) -> None:
        self._known = known
        self._changed = changed
        self._looked_up = looked_up or {}
        self._read: set[Key] = set()
        self._named: dict[Code, set[Key]] = {}
        self._ids: dict[tuple[int, Code], int | None] = {}
        self.unanswered: set[Code] = set()

    def add(self, record: Record | Held) -> None:
        """Add a record; only those that others may refer to count."""
        key = record.key
        referent = _REFERENTS.get(key.role)
        if referent is None:
            return
        self._read.add(key)
        if isinstance(record, Record):
            self._named.setdefault(Code(referent, "Name", record.name), set()).add(key)

    def resolve(self, organisation_id: int, code: Code) -> Resolved | None:
        """Return what a code stands for among the accounts of the feeds; ``None`` if there is no match."""
        if code.by == "Name":
            keys = sorted(key for key in self._named.get(code, ()) if key.organisation_id == organisation_id)
            if len(keys) > 1:
                return Reason.AMBIGUOUS
        else:
            keys = [Key(organisation_id, role, code.text) for role in code.referent.roles]
        # A person may have changed roles: then the account that has a record is meant.
        for key in keys:
            if key in self._read and (found := self._account(key)) is not None:
                return found
        return next((found for key in keys if (found := self._user_id(key)) is not None), None)

    def ids(self, record: Record) -> dict[str, int]:
        """The ids that a record's codes stand for, by field, as far as they are known without asking OneFile."""
        ids = {name: self._id_of(record.key.organisation_id, code) for name, code in record.codes.items()}
        return {name: onefile_id for name, onefile_id in ids.items() if onefile_id is not None}

    def _id_of(self, organisation_id: int, code: Code) -> int | None:
        place = organisation_id, code
        if place not in self._ids:
            match self.resolve(organisation_id, code):
                case None:
                    self.unanswered.add(code)
                    self._ids[place] = self._looked_up.get(code)
                case Key() | Reason():
                    self._ids[place] = None
                case onefile_id:
                    self._ids[place] = onefile_id
        return self._ids[place]

    def _account(self, key: Key) -> int | Key | None:
        user_id = self._user_id(key)
        return key if user_id is None and key in self._changed else user_id

    def _user_id(self, key: Key) -> int | None:
        account = self._known.get(key)
        return account.user_id if account is not None and account.is_usable else None
