"""Resolve the codes of the MIS: to the accounts of the feeds' records, else to ids looked up in OneFile."""

from collections.abc import Mapping, Set
from typing import Final, TypeAlias

from syncd.core.accounts import Known
from syncd.core.fields import Referent, Role
from syncd.core.records import Code, Held, Key, Reason, Record

Resolved: TypeAlias = int | Key | Reason
"""What a code stands for: an id, an account that this run creates first, or why neither is known."""

_REFERENTS: Final[dict[Role, Referent]] = {role: referent for referent in Referent for role in referent.roles}


class References:
    """Resolves codes while the feeds are read: a record is read before those that refer to it.

    ``changed`` are the records that this run may send, filled while it reads; ``looked_up`` are the ids that OneFile
    has returned for codes, at any time.
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
