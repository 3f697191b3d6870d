"""A small college: its people, and what the store and OneFile know of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from syncd.core.accounts import Known, Status
from syncd.core.assignments import (
    AssignmentRecord,
    Pair,
    StoredAssignment,
    find_changed_assignments,
)
from syncd.core.changed import ChangedRecords, find_changed
from syncd.core.compare import Doubt, Rules, Snapshot
from syncd.core.evidence import Traits
from syncd.core.fields import FIELDS, GRANT, Role
from syncd.core.identity import Person, StoredAnswer
from syncd.core.plan import Assign, Create, Grant, Plan, Update
from syncd.core.plan_builder import build_plan
from syncd.core.records import Code, Held, Key, OtherOrganisation, Reason, Record, Warned, stamped
from syncd.core.references import Resolved
from syncd.core.scope import EVERYONE, Scope
from syncd.core.values import Sent, Value

ORGANISATION = 5740
SECRET = b"of the tests"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
NO_CODES: Mapping[str, Code] = {}


def key(misid: str, role: Role = Role.ASSESSOR) -> Key:
    return Key(ORGANISATION, role, misid)


def person(
    misid: str,
    role: Role = Role.ASSESSOR,
    *,
    codes: Mapping[str, Code] = NO_CODES,
    unusable: Iterable[str] = (),
    person_key: str = "",
    **fields: Value,
) -> Record:
    """A record that is in order, of a feed with a column for every field there is."""
    who = key(misid, role)
    names = {"MISID": misid, "FirstName": "Ann", "LastName": "Example", "Email": f"{misid.lower()}@example.org"}
    warnings = (Warned(who, f"{role} feed", Reason.UNUSABLE, name, "cannot be used") for name in unusable)
    content = {**names, **fields}
    return Record(who, f"{role} feed", content, dict(codes), frozenset(FIELDS), tuple(warnings), person_key=person_key)


def place(misid: str, name: str, role: Role = Role.PLACEMENT, **fields: Value) -> Record:
    """A placement or a classroom that is in order, of a feed with a column for every field there is."""
    told = {"MISID": misid, "Name": name, **fields}
    return Record(key(misid, role), f"{role} feed", told, {}, frozenset(FIELDS))


def link(learner: str, user: str, role: Role = Role.EMPLOYER, feed: str = "assignments") -> AssignmentRecord:
    """One row of an assignments feed."""
    return AssignmentRecord(Pair(key(learner, Role.LEARNER), key(user, role)), feed)


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
    looked_up: dict[Code, int] = field(default_factory=dict)
    in_onefile: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    in_doubt: dict[Key, Doubt] = field(default_factory=dict)
    unconfirmed: list[Person] = field(default_factory=list)
    refused: dict[Key, Held] = field(default_factory=dict)
    remembered: dict[Pair, StoredAssignment] = field(default_factory=dict)
    person_keys: dict[Key, str] = field(default_factory=dict)
    answers: dict[Key, StoredAnswer] = field(default_factory=dict)
    likely_accounts: dict[Key, tuple[int, ...]] = field(default_factory=dict)
    traits_in_onefile: dict[int, Traits] = field(default_factory=dict)
    _ids: Iterable[int] = field(default_factory=lambda: count(100))

    @classmethod
    def of(cls, *records: Record, rules: Rules | None = None) -> "College":
        """One that OneFile has accepted these records of; their UserIDs count up from 100."""
        college = cls(rules or Rules(NOW))
        for record in records:
            college._accept(record.key, None, record.fields, record.fingerprint(SECRET))
            college._keep_person_key(record.key, Person.of_record(record, SECRET).person_key)
        return college

    def sift(self, *records: Record | Held | OtherOrganisation, scope: Scope = EVERYONE) -> ChangedRecords:
        """What of these records needs a closer look."""
        return find_changed(records, self.known, SECRET, self.refused, scope, self.looked_up)

    def plan(
        self,
        *records: Record | Held | OtherOrganisation,
        links: Iterable[AssignmentRecord | Held] = (),
        scope: Scope = EVERYONE,
    ) -> Plan:
        """What a run that reads these records and assignments would do."""
        assignments = find_changed_assignments(links, self.remembered, self.known, scope)
        snapshot = Snapshot(
            self.known,
            self.values,
            self.codes,
            self.in_onefile,
            self.in_doubt,
            [Person.of_values(who, values, self.person_keys.get(who, "")) for who, values in self.values.items()],
            unconfirmed=self.unconfirmed,
            person_keys=self.person_keys,
            answers=self.answers,
            likely_accounts=self.likely_accounts,
            traits_in_onefile=self.traits_in_onefile,
            assignments=self.remembered,
        )
        return build_plan(self.sift(*records, scope=scope), assignments, snapshot, self.rules, SECRET)

    def has_left(
        self,
        misid: str,
        status: Status = Status.LEAVER,
        left_at: datetime | None = NOW,
        role: Role = Role.ASSESSOR,
        days_gone: int | None = None,
    ) -> None:
        """Note that an account's record was gone, or that it was archived for that.

        Every day since has had a complete reading of the feeds, unless it is said how many.
        """
        account = self.known[key(misid, role)]
        self.known[key(misid, role)] = Known(
            account.user_id,
            status,
            account.fingerprint,
            left_at,
            account.needs_recheck,
            (NOW - left_at).days if days_gone is None and left_at is not None else days_gone or 0,
        )

    def carry_out(self, plan: Plan) -> None:
        """Note all that a run notes whose every call OneFile accepts."""
        self.looked_up |= {code: meaning for (_, code), meaning in self.codes.items() if isinstance(meaning, int)}
        for step in plan.steps():
            match step:
                case Create() | Update():
                    ids = {name: self._id_of(other) for name, other in step.waits_for.items()}
                    user_id = step.user_id if isinstance(step, Update) else None
                    invalid = dict.fromkeys(step.invalidates) if isinstance(step, Update) else {}
                    fingerprint = stamped(step.fingerprint, step.ids | ids)
                    fields = {**step.fields, **ids, **invalid}
                    self._accept(step.key, user_id, fields, fingerprint, needs_recheck=step.needs_recheck)
                    self._keep_person_key(step.key, step.person_key)
                case Grant():
                    fingerprint = stamped(step.fingerprint, step.ids)
                    accepted = {GRANT: step.is_open}
                    self._accept(step.key, None, accepted, fingerprint, needs_recheck=step.needs_recheck)
                case Assign():
                    ids_ = self._id_of(step.learner), self._id_of(step.user)
                    self.remembered[Pair(step.learner, step.user)] = StoredAssignment(*ids_)
                case _:
                    pass
        for refresh in plan.refreshes:
            self.known[refresh.key] = Known(
                self._id_of(refresh.key),
                Status.ACTIVE,
                stamped(refresh.fingerprint, refresh.ids),
                needs_recheck=refresh.needs_recheck,
            )
            self._keep_person_key(refresh.key, refresh.person_key)
        for leaver in plan.leavers:
            account, left_at = self.known[leaver.key], leaver.left_at or self.rules.now
            new = Status.LEAVER if leaver.left_at is None else account.status
            status = Status.ARCHIVED if leaver.to_archive else new
            self.known[leaver.key] = Known(leaver.user_id, status, account.fingerprint, left_at, account.needs_recheck)

    def _accept(
        self,
        who: Key,
        user_id: int | None,
        fields: Mapping[str, Sent],
        fingerprint: str,
        *,
        needs_recheck: bool = False,
    ) -> None:
        merged = {**self.values.get(who, {}), **fields}
        self.values[who] = {name: value for name, value in merged.items() if value is not None and value != ""}
        known = self.known.get(who)
        user_id = user_id or (known.user_id if known else None) or next(iter(self._ids))
        self.known[who] = Known(user_id, Status.ACTIVE, fingerprint, needs_recheck=needs_recheck)

    def _keep_person_key(self, who: Key, person_key: str) -> None:
        if person_key:
            self.person_keys[who] = person_key

    def _id_of(self, who: Key) -> int:
        user_id = self.known[who].user_id
        assert user_id is not None, f"{who} has no UserID yet"
        return user_id
