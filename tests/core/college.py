"""A small college: its people, and what the store and OneFile know of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from syncd.core.compare import Known, Resolved, Rules, Sifted, Status, Surroundings, compare, sift
from syncd.core.fields import FIELDS, SENDING_ORDER, Role
from syncd.core.plan import Plan
from syncd.core.records import Code, Held, Key, Reason, Record, Warned
from syncd.core.values import Sent, Value

ORGANISATION = 5740
SECRET = b"of the tests"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
NOBODY: frozenset[str] = frozenset()
NO_CODES: Mapping[str, Code] = {}


def key(misid: str, role: Role = Role.ASSESSOR) -> Key:
    return Key(ORGANISATION, role, misid)


def person(
    misid: str,
    role: Role = Role.ASSESSOR,
    *,
    codes: Mapping[str, Code] = NO_CODES,
    unusable: Iterable[str] = (),
    **fields: Value,
) -> Record:
    """A record that is in order, of a feed with a column for every field there is."""
    who = key(misid, role)
    names = {"MISID": misid, "FirstName": "Ann", "LastName": "Example", "Email": "ann@example.org"}
    warnings = (Warned(who, f"{role} feed", Reason.UNUSABLE, name, "cannot be used") for name in unusable)
    return Record(who, f"{role} feed", {**names, **fields}, dict(codes), frozenset(FIELDS), tuple(warnings))


def unfit(misid: str, role: Role = Role.ASSESSOR) -> Held:
    """A row that lacks its e-mail address; its own MISID, where that is empty too."""
    return Held(ORGANISATION, role, misid, f"{role} feed", Reason.MISSING, "Email", "Email is empty")


@dataclass
class College:
    """What syncd knows at one moment, and what it would do."""

    rules: Rules = field(default_factory=lambda: Rules(NOW))
    known: dict[Key, Known] = field(default_factory=dict)
    values: dict[Key, Mapping[str, Value]] = field(default_factory=dict)
    codes: dict[tuple[int, Code], Resolved] = field(default_factory=dict)
    in_onefile: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    in_doubt: dict[Key, str] = field(default_factory=dict)
    refused: dict[Key, Held] = field(default_factory=dict)
    _ids: Iterable[int] = field(default_factory=lambda: count(100))

    @classmethod
    def of(cls, *records: Record, rules: Rules | None = None) -> "College":
        """One that OneFile has accepted these records of; their UserIDs count up from 100."""
        college = cls(rules or Rules(NOW))
        for record in records:
            college._accept(record.key, None, record.fields, record.fingerprint(SECRET))
        return college

    def sift(self, *records: Record | Held, only: frozenset[str] = NOBODY) -> Sifted:
        """What of these records needs a closer look."""
        return sift(records, self.known, SECRET, self.refused, only)

    def plan(self, *records: Record | Held, only: frozenset[str] = NOBODY) -> Plan:
        """What a run that reads these records would do."""
        around = Surroundings(self.known, self.values, self.codes, self.in_onefile, self.in_doubt)
        return compare(self.sift(*records, only=only), around, self.rules, SECRET)

    def has_left(
        self,
        misid: str,
        status: Status = Status.LEAVER,
        left_at: datetime | None = NOW,
        role: Role = Role.ASSESSOR,
    ) -> None:
        """Note that an account's record was gone, or that it was archived for that."""
        account = self.known[key(misid, role)]
        self.known[key(misid, role)] = Known(account.user_id, status, account.fingerprint, left_at)

    def carry_out(self, plan: Plan) -> None:
        """Note all that a run notes whose every call OneFile accepts."""
        for create in sorted(plan.creates, key=lambda create: SENDING_ORDER.index(create.key.role)):
            waited = {name: self._id_of(other) for name, other in create.waits_for.items()}
            self._accept(create.key, None, {**create.fields, **waited}, create.fingerprint)
        for update in plan.updates:
            waited = {name: self._id_of(other) for name, other in update.waits_for.items()}
            self._accept(update.key, update.user_id, {**update.fields, **waited}, update.fingerprint)
        for refresh in plan.refreshes:
            self.known[refresh.key] = Known(self._id_of(refresh.key), Status.ACTIVE, refresh.fingerprint)
        for leaver in plan.leavers:
            account, left_at = self.known[leaver.key], leaver.left_at or self.rules.now
            status = Status.ARCHIVED if leaver.to_archive else Status.LEAVER
            self.known[leaver.key] = Known(leaver.user_id, status, account.fingerprint, left_at)

    def _accept(self, who: Key, user_id: int | None, fields: Mapping[str, Sent], fingerprint: str) -> None:
        merged = {**self.values.get(who, {}), **fields}
        self.values[who] = {name: value for name, value in merged.items() if value is not None and value != ""}
        self.known[who] = Known(user_id or next(iter(self._ids)), Status.ACTIVE, fingerprint)

    def _id_of(self, who: Key) -> int:
        user_id = self.known[who].user_id
        assert user_id is not None, f"{who} has no UserID yet"
        return user_id
