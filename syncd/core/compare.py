"""Compare one record with its account: which steps follow. `plan` has the table of these decisions.

The comparison uses the values stored for the changed records, the ids that their codes stand for, and what OneFile
already has.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final, TypeAlias

from syncd.core.accounts import Known, Status
from syncd.core.assignments import ChangedAssignments, Pair, StoredAssignment, users_by_learner
from syncd.core.changed import ChangedRecords
from syncd.core.evidence import Evidence, Traits, is_replaced, names_fit
from syncd.core.evidence import compare as compare_traits
from syncd.core.fields import GRANT, USERS, Role, is_mandatory
from syncd.core.identity import Answer, Finding, Identity, Person, StoredAnswer
from syncd.core.plan import Create, Grant, NextProgramme, Refresh, Rekey, Returner, Update
from syncd.core.records import Code, Held, Key, Reason, Record, Warned, stamped
from syncd.core.references import Resolved
from syncd.core.text import quoted
from syncd.core.values import Sent, Value

_EMPLOYER: Final = "DefaultEmployerID"
_PLACEMENT: Final = "PlacementID"


class Clear(StrEnum):
    """What is sent for a value that the MIS no longer has; what OneFile does with it is not known (U16)."""

    KEEP = "keep"
    EMPTY = "empty"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a create in doubt is not settled."""

    detail: str = "an earlier create is not settled yet"
    reason: Reason = Reason.IN_DOUBT


@dataclass(frozen=True)
class Snapshot:
    """What the plan needs to know besides the feeds, fetched for the changed records only."""

    known: Mapping[Key, Known]
    values: Mapping[Key, Mapping[str, Value]]
    """The values OneFile last accepted, of the changed records."""
    codes: Mapping[tuple[int, Code], Resolved] = field(default_factory=dict)
    """What OneFile has for codes that no record of the feeds answers to, by organisation and code."""
    in_onefile: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    """The ids that OneFile has for keys which the store does not know."""
    in_doubt: Mapping[Key, Doubt] = field(default_factory=dict)
    """Keys whose create has no known outcome: none is created."""
    resembling: Collection[Person] = ()
    """The accounts of the store that may be of the same people as the changed records."""
    unconfirmed: Collection[Person] = ()
    """The people of creates that no answer has confirmed, as they were sent."""
    person_keys: Mapping[Key, str] = field(default_factory=dict)
    """The digests of the MIS's own keys of the people of the changed records' accounts."""
    answers: Mapping[Key, StoredAnswer] = field(default_factory=dict)
    """What operators have answered to questions about people."""
    likely_accounts: Mapping[Key, tuple[int, ...]] = field(default_factory=dict)
    """The ids of accounts in OneFile that may be new records' people, and that are no record's account."""
    traits_in_onefile: Mapping[int, Traits] = field(default_factory=dict)
    """What OneFile's search has shown of the people of the accounts in ``in_onefile``, by UserID."""
    assignments: Mapping[Pair, StoredAssignment] = field(default_factory=dict)
    """The assignments that earlier runs have sent, and what OneFile answered."""
    archived: Set[Key] = frozenset()
    """The keys of accounts to link, and of leavers that are back, which OneFile shows as archived."""
    mismatched: Mapping[Key, str] = field(default_factory=dict)
    """Keys without an account that OneFile may have although its searches do not show them, and why."""

    @cached_property
    def owners(self) -> Mapping[tuple[Role, int | None], Key]:
        """The key that the store has for an account, by role and id."""
        return {(key.role, account.user_id): key for key, account in self.known.items()}

    @cached_property
    def claims(self) -> Counter[tuple[Role, int]]:
        """How many new records could be the same account or place in OneFile."""
        return Counter((key.role, onefile_id) for key, hits in self.in_onefile.items() for onefile_id in hits)

    @cached_property
    def resembling_others(self) -> Set[tuple[Role, int]]:
        """The accounts and places that have the names of new records with other MISIDs."""
        return {(key.role, onefile_id) for key, ids in self.likely_accounts.items() for onefile_id in ids}


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that a plan depends on."""

    now: datetime
    archives_leavers: bool = False
    grace: timedelta = timedelta(days=14)
    protected: frozenset[str] = frozenset()
    clear: Clear = Clear.KEEP


RecordStep: TypeAlias = Held | Create | Update | Rekey | Refresh | Grant | Returner
"""A step that a record of a feed leads to."""

_Change: TypeAlias = Create | Update | Refresh

#: The findings for which a new record is held, unless OneFile has its MISID.
QUESTIONS: Final = {Identity.LOOKALIKE: Reason.LOOKALIKE_KEY, Identity.REKEYED: Reason.REKEYED}


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A record with its codes replaced by ids, or by accounts that this run creates first."""

    fields: dict[str, Value]
    waits_for: dict[str, Key]
    ids: dict[str, int]
    """The ids that codes stand for, by field."""
    refers_to: dict[str, Key]
    """The accounts that codes stand for, by field."""
    grant: Value | None
    left_out: tuple[Warned, ...] = ()
    """The optional fields whose codes stand for nothing that could be sent."""


class Comparison:
    """Decides the steps of the changed records of one run, which must come in the order in which they are sent.

    ``findings`` are what is known about the people of the records, by key.
    """

    def __init__(
        self,
        changed: ChangedRecords,
        assignments: ChangedAssignments,
        snapshot: Snapshot,
        rules: Rules,
        secret: bytes,
        findings: Mapping[Key, Finding],
    ) -> None:
        self._changed = changed
        self._snapshot = snapshot
        self._rules = rules
        self._secret = secret
        self._findings = findings
        self._to_assign = users_by_learner(assignments.to_assign)
        self._not_assignable = users_by_learner(assignments.refused)
        self._held: set[Key] = set()
        self._linked: set[tuple[Role, int]] = set()
        """The accounts that were linked because an operator has said whose they are."""
        self._successors = self._find_successors()
        """The accounts that get the MISID of a new record, with that record's key."""
        self._predecessors = {new: old for old, new in self._successors.items()}
        self.warnings: list[Warned] = []
        """Values left out of the records so far, and records that seem to be about one person."""
        self.next_programmes: list[NextProgramme] = []

    def steps_for(self, record: Record) -> tuple[RecordStep, ...]:
        """The steps of one record, in the order in which they are carried out.

        If it is held, nothing of it is sent; its account may be released.
        """
        steps = self._decide(record)
        if isinstance(steps[0], Held):
            self._held.add(record.key)
        returner = self._returner(record.key, steps[0])
        return steps if returner is None else (returner, *steps)

    def _returner(self, key: Key, first: RecordStep) -> Returner | None:
        """The step before the first one of a record, if its account was not in use or OneFile has archived it."""
        is_archived = key in self._snapshot.archived
        if isinstance(first, Update) and first.is_link and first.user_id is not None and is_archived:
            return Returner(key, first.user_id, is_archived=True, fingerprint=first.fingerprint)
        account = self._snapshot.known.get(key)
        is_back = account is not None and account.status is not Status.ACTIVE
        if isinstance(first, Held | Rekey) or account is None or account.user_id is None or not is_back:
            return None
        is_archived = is_archived or account.status in {Status.ARCHIVED, Status.UNSURE}
        fingerprint = "" if isinstance(first, Returner) else first.fingerprint
        return Returner(key, account.user_id, is_archived, fingerprint)

    def _decide(self, record: Record) -> tuple[RecordStep, ...]:
        snapshot = self._snapshot
        account = snapshot.known.get(record.key)
        if (hold := self._hold_unknown(record, account)) is not None:
            return (hold,)
        resolved = self._resolve(record)
        if isinstance(resolved, Held):
            return (resolved,)
        stored: Mapping[str, Value] = {}
        step: Held | Rekey | _Change
        if account is None or account.user_id is None:
            step = self._new_account(record, resolved)
        else:
            stored = snapshot.values.get(record.key, {})
            step = self._difference(record, resolved, account.user_id, stored)
        if isinstance(step, Held | Rekey):
            return self._released(record, resolved, step) if isinstance(step, Held) else (step,)
        step = self._with_finding(record, step)
        if resolved.left_out:
            self.warnings.extend(resolved.left_out)
            # Each run must find it again, so that the warning stays for as long as it is true.
            step = replace(step, needs_recheck=True)
        match record.key.role:
            case Role.LEARNER:
                return self._with_default_employer(record, step)
            case Role.EMPLOYER:
                return _with_grant(step, resolved, stored.get(GRANT))
            case _:
                return (step,)

    def _hold_unknown(self, record: Record, account: Known | None) -> Held | None:
        """Hold a record of which it is not known whether OneFile has an account."""
        snapshot, key = self._snapshot, record.key
        if key in snapshot.mismatched:
            return _hold(record, Reason.SEARCH_MISMATCH, "MISID", snapshot.mismatched[key])
        if key in snapshot.in_doubt or (account is not None and account.user_id is None):
            doubt = snapshot.in_doubt.get(key, Doubt())
            return _hold(record, doubt.reason, "MISID", doubt.detail)
        return None

    def _resolve(self, record: Record) -> _Resolved | Held:
        fields = dict(record.fields)
        waits_for: dict[str, Key] = {}
        ids: dict[str, int] = {}
        refers_to: dict[str, Key] = {}
        left_out: list[Warned] = []
        for name, code in record.codes.items():
            meaning = self._meaning(record.key.organisation_id, code)
            if (unusable := self._why_unusable(record, name, code, meaning)) is not None:
                reason, detail = unusable
                if is_mandatory(record.key.role, name):
                    return _hold(record, reason, name, detail)
                left_out.append(Warned(record.key, record.feed, reason, name, f"{name} is left out: {detail}"))
                continue
            match meaning:
                case Key() as awaited if (found := self._to_be_linked(awaited)) is not None:
                    # OneFile may already have accepted this id, before the account was linked.
                    fields[name] = ids[name] = found
                    refers_to[name] = awaited
                case Key() as awaited:
                    waits_for[name] = refers_to[name] = awaited
                case int() as onefile_id:
                    if (owner := self._owner(code, onefile_id)) is not None:
                        refers_to[name] = owner
                    fields[name] = ids[name] = onefile_id
        return _Resolved(fields, waits_for, ids, refers_to, fields.pop(GRANT, None), tuple(left_out))

    def _why_unusable(self, record: Record, name: str, code: Code, meaning: Resolved) -> tuple[Reason, str] | None:
        """Why nothing can be sent for a code, and in words; ``None`` if it stands for an id, or comes to."""
        match meaning:
            case Reason() as reason:
                return reason, _unresolved(reason, code)
            case Key() as awaited:
                held = awaited if awaited in self._held else None
            case onefile_id:
                owner = self._owner(code, onefile_id)
                held = owner if owner and self._is_another_person(record, name, owner, onefile_id) else None
        return None if held is None else (Reason.REFERENCE_NOT_FOUND, f"the {held.role} {held.misid} is held as well")

    def _owner(self, code: Code, onefile_id: int) -> Key | None:
        """The account of the store that a code stands for."""
        owners = (self._snapshot.owners.get((role, onefile_id)) for role in code.referent.roles)
        return next(filter(None, owners), None)

    def _is_another_person(self, record: Record, name: str, owner: Key, onefile_id: int) -> bool:
        """Whether the MISID of an account may have a new owner: nobody is newly given to the old one."""
        if self._snapshot.values.get(record.key, {}).get(name) == onefile_id:
            return False
        finding = self._findings.get(owner)
        return finding is not None and finding.identity is Identity.ANOTHER_PERSON

    def _to_be_linked(self, key: Key) -> int | None:
        """The id of an account that OneFile already has, and that this run links or gives its new MISID."""
        if (other := self._predecessors.get(key)) is not None:
            return self._snapshot.known[other].user_id
        hits = self._snapshot.in_onefile.get(key, ())
        return hits[0] if len(hits) == 1 else None

    def _meaning(self, organisation_id: int, code: Code) -> Resolved:
        in_feeds = self._changed.references.resolve(organisation_id, code)
        return in_feeds or self._snapshot.codes.get((organisation_id, code), Reason.REFERENCE_NOT_FOUND)

    def _new_account(self, record: Record, resolved: _Resolved) -> Held | Create | Update | Rekey:
        key = record.key
        if hits := self._snapshot.in_onefile.get(key, ()):
            return self._link(record, resolved, hits)
        finding = self._findings.get(key)
        if finding is not None and finding.identity in QUESTIONS:
            return self._lookalike_or_rekeyed(record, resolved, finding)
        if likely := self._snapshot.likely_accounts.get(key, ()):
            if (user_id := self._chosen_account(record, likely)) is not None:
                return self._linked_to(record, resolved, user_id)
            if not self._has_answered(record, Answer.NEW, user_ids=likely):
                return _hold_likely_account(record, likely, record.fingerprint(self._secret))
        answer = self._snapshot.answers.get(key)
        if answer is not None and answer.answer is Answer.SAME and answer.reason is Reason.HAS_AN_ACCOUNT:
            return _hold_lost_account(record, answer.user_id)
        former_role = _former_role(key, self._changed)
        fingerprint = record.fingerprint(self._secret)
        return Create(
            key,
            record.feed,
            resolved.fields,
            resolved.waits_for,
            fingerprint,
            resolved.ids,
            former_role,
            refers_to=resolved.refers_to,
        )

    def _link(self, record: Record, resolved: _Resolved, hits: tuple[int, ...]) -> Held | Update | Rekey:
        """The step for a new record whose MISID OneFile has already."""
        snapshot, key = self._snapshot, record.key
        user_id, *others = hits
        if others:
            ids = ", ".join(map(str, hits))
            what = "or its name on several places: IDs" if key.role.is_place else "on several accounts: UserIDs"
            return _hold(record, Reason.AMBIGUOUS, "MISID", f"OneFile has it {what} {ids}")
        if snapshot.claims[key.role, user_id] > 1:
            detail = f"OneFile has one {key.role} of this name, ID {user_id}, and the MIS several"
            return _hold(record, Reason.AMBIGUOUS, "Name", detail)
        owner = snapshot.owners.get((key.role, user_id))
        if owner is not None:
            return _misid_on_known_account(record, owner, user_id, self._findings.get(key))
        if (evidence := self._contradiction(record, user_id)) is not None:
            return _hold_another_person(record, user_id, evidence, record.fingerprint(self._secret))
        return self._linked_to(record, resolved, user_id)

    def _linked_to(self, record: Record, resolved: _Resolved, user_id: int) -> Update:
        """The step by which an account that OneFile has already becomes the record's."""
        return Update(
            record.key,
            record.feed,
            user_id,
            dict(resolved.fields),
            resolved.waits_for,
            record.fingerprint(self._secret),
            is_link=True,
            ids=resolved.ids,
            refers_to=resolved.refers_to,
        )

    def _find_successors(self) -> dict[Key, Key]:
        """The accounts that an operator, or OneFile, gives to new records; each to one record at most."""
        successors: dict[Key, Key] = {}
        for key, finding in sorted(self._findings.items(), key=lambda found: found[0]):
            if finding.identity in QUESTIONS and finding.other is not None and self._gets_account(key, finding.other):
                successors.setdefault(finding.other, key)
        return successors

    def _gets_account(self, key: Key, other: Key) -> bool:
        """Whether a new record gets the account of ``other``, whose record is gone."""
        snapshot = self._snapshot
        account, finding = snapshot.known.get(other), self._findings[key]
        if account is None or account.user_id is None or finding.is_other_current:
            return False
        if hits := snapshot.in_onefile.get(key):
            return snapshot.owners.get((key.role, hits[0])) == other
        answer = snapshot.answers.get(key)
        return answer is not None and answer.answer is Answer.SAME and answer.other == other.misid

    def _lookalike_or_rekeyed(self, record: Record, resolved: _Resolved, finding: Finding) -> Held | Rekey:
        """The step for a new record that may be the person of an account."""
        if finding.other in self._snapshot.in_doubt and not finding.is_other_current:
            return _hold_person_in_doubt(record, finding)
        account = self._snapshot.known.get(finding.other) if finding.other else None
        # A current record keeps its account.
        user_id = account.user_id if account and not finding.is_other_current else None
        fingerprint = record.fingerprint(self._secret)
        if finding.other is not None and user_id is not None and self._successors.get(finding.other) == record.key:
            of_record = stamped(fingerprint, resolved.ids)
            return Rekey(finding.other, record.key, user_id, feed=record.feed, fingerprint=of_record)
        return _hold_question(record, finding, user_id, fingerprint)

    def _chosen_account(self, record: Record, likely: Collection[int]) -> int | None:
        """The account in OneFile that an operator has said is this new person's, if that can still be."""
        answer = self._snapshot.answers.get(record.key)
        if answer is None or answer.answer is not Answer.SAME or answer.user_id not in likely:
            return None
        user_id = answer.user_id
        if user_id is None or (record.key.role, user_id) in self._linked:
            return None
        self._linked.add((record.key.role, user_id))
        return user_id

    def _released(self, record: Record, resolved: _Resolved, hold: Held) -> tuple[Held] | tuple[Held, Rekey]:
        """The steps of a held record: its account is released if an operator has said that the MISID has a new owner.

        The next run creates the new person, once OneFile has taken the MISID from the old account.
        """
        key, answer = record.key, self._snapshot.answers.get(record.key)
        if hold.reason is not Reason.ANOTHER_PERSON or hold.user_id is None or key in self._successors:
            return (hold,)
        if answer is None or not answer.is_release or not answer.is_about(hold.fingerprint):
            return (hold,)
        release = Rekey.release(key, hold.user_id, record.feed, stamped(hold.fingerprint, resolved.ids))
        detail = (
            f"is a new person, as an operator has answered: the old account gets the MISID {release.key.misid} and "
            "becomes a leaver, then the next run creates an account for this record"
        )
        return replace(hold, detail=detail), release

    def _difference(
        self, record: Record, resolved: _Resolved, user_id: int, stored: Mapping[str, Value]
    ) -> Held | Update | Refresh:
        key, clear = record.key, self._rules.clear
        fingerprint, needs_recheck = record.fingerprint(self._secret), False
        finding = self._findings.get(key)
        if finding is not None and finding.identity is Identity.ANOTHER_PERSON:
            return _hold_question(record, finding, user_id, fingerprint)
        different: dict[str, Sent] = {
            name: value for name, value in resolved.fields.items() if stored.get(name) != value
        }
        left_out = {warned.field for warned in resolved.left_out}
        cleared = _cleared(record, stored, resolved.fields.keys() | resolved.waits_for.keys() | left_out)
        if clear is not Clear.KEEP:
            different |= dict.fromkeys(cleared, "" if clear is Clear.EMPTY else None)
        elif cleared:
            self.warnings.extend(
                Warned(key, record.feed, Reason.CLEARED, name, f"{name} is empty in the MIS; OneFile keeps its value")
                for name in cleared
            )
            # Each run must find it again, so that the warning stays for as long as it is true.
            needs_recheck = True
        if different or resolved.waits_for:
            return Update(
                key,
                record.feed,
                user_id,
                different,
                resolved.waits_for,
                fingerprint,
                ids=resolved.ids,
                needs_recheck=needs_recheck,
                refers_to=resolved.refers_to,
                completes=self._completed_create(key, resolved),
            )
        return Refresh(key, record.feed, fingerprint, resolved.ids, needs_recheck)

    def _completed_create(self, key: Key, resolved: _Resolved) -> dict[str, Value]:
        """All fields, if an update sends what OneFile lacks to an account that was created and never confirmed."""
        is_unconfirmed = not self._snapshot.known[key].fingerprint
        return dict(resolved.fields) if is_unconfirmed else {}

    def _with_default_employer(self, record: Record, step: _Change) -> tuple[_Change, ...]:
        """The default employer is sent after being assigned to the learner, if the MIS wants it assigned (§11)."""
        employer = self._employer_of(record)
        if employer is None or isinstance(step, Refresh) or not contains_field((step,), _EMPLOYER):
            return (step,)
        before = replace(step, needs_recheck=True, **_without_field(step, _EMPLOYER))
        if employer in self._not_assignable.get(record.key, ()):
            detail = f"{_EMPLOYER} is left out: OneFile has refused to assign the employer {employer.misid}"
            self.warnings.append(Warned(record.key, record.feed, Reason.REFUSED, _EMPLOYER, detail))
            if before.fields or before.waits_for:
                return (before,)
            return (Refresh(step.key, step.feed, step.fingerprint, step.ids, needs_recheck=True),)
        if employer not in self._to_assign.get(record.key, ()):
            return (step,)
        if isinstance(step, Update):
            return (replace(step, after_assigning=employer),)
        after = Update(
            step.key,
            step.feed,
            None,
            {_EMPLOYER: step.fields[_EMPLOYER]} if _EMPLOYER in step.fields else {},
            {_EMPLOYER: step.waits_for[_EMPLOYER]} if _EMPLOYER in step.waits_for else {},
            step.fingerprint,
            ids=step.ids,
            needs_recheck=step.needs_recheck,
            after_assigning=employer,
            refers_to=step.refers_to,
        )
        return before, after

    def _employer_of(self, record: Record) -> Key | None:
        if code := record.codes.get(_EMPLOYER):
            return Key(record.key.organisation_id, Role.EMPLOYER, code.text)
        onefile_id = record.fields.get(_EMPLOYER)
        return self._snapshot.owners.get((Role.EMPLOYER, onefile_id)) if isinstance(onefile_id, int) else None

    def _with_finding(self, record: Record, step: _Change) -> _Change:
        """The step with what must be stored and said about the person of the record."""
        if record.person_key:
            step = replace(step, person_key=Person.of_record(record, self._secret).person_key)
        finding = self._findings.get(record.key)
        if finding is None or finding.other is None:
            return step
        if finding.identity is Identity.NEXT_PROGRAMME and (isinstance(step, Create) or _is_link(step)):
            self.next_programmes.append(NextProgramme(record.key, finding.other, finding.evidence))
        if finding.identity is Identity.SAME_PERSON:
            other = finding.other.misid
            detail = f"{other} seems to be the same person ({finding.evidence}); each has an account of its own"
            self.warnings.append(
                Warned(record.key, record.feed, Reason.SAME_PERSON, "MISID", detail, other, finding.evidence)
            )
            # Each run must find it again, so that the warning stays for as long as it is true.
            return replace(step, needs_recheck=True)
        return step

    def _contradiction(self, record: Record, user_id: int) -> Evidence | None:
        """The evidence, if OneFile's account with this MISID has the names of another person.

        A person may have another surname than in OneFile, but not if another new record has that of the account.
        """
        traits = self._snapshot.traits_in_onefile.get(user_id)
        if traits is None or record.key.role.is_place or self._has_answered(record, Answer.SAME):
            return None
        now = Traits.from_fields(record.fields)
        is_others = (record.key.role, user_id) in self._snapshot.resembling_others and not names_fit(traits, now)
        return compare_traits(traits, now) if is_others or is_replaced(traits, now) else None

    def _has_answered(self, record: Record, answer: Answer, user_ids: Collection[int] = ()) -> bool:
        """Whether an operator has answered this to the question about the record, or about one of these accounts."""
        stored = self._snapshot.answers.get(record.key)
        if stored is None or stored.answer is not answer or stored.is_release:
            return False
        return stored.is_about(record.fingerprint(self._secret), user_ids=user_ids)


def _is_link(step: _Change) -> bool:
    return isinstance(step, Update) and step.is_link


def contains_field(steps: Iterable[RecordStep], name: str) -> bool:
    """Whether one of the steps sends the field."""
    return any(isinstance(step, Create | Update) and (name in step.fields or name in step.waits_for) for step in steps)


def _with_grant(step: _Change, resolved: _Resolved, stored: Value | None) -> tuple[_Change | Grant, ...]:
    """An employer is assigned to the placement by a call of its own, once OneFile has both (§11).

    OneFile ties the access to the placement: with another placement it is granted again, and what was stored of the
    old one is no longer true, even if the run ends before the grant.
    """
    moves = contains_field((step,), _PLACEMENT)
    if moves and isinstance(step, Update):
        step = replace(step, invalidates=(GRANT,))
    grant = resolved.grant
    placement = resolved.waits_for.get(_PLACEMENT) or resolved.fields.get(_PLACEMENT)
    if not isinstance(grant, bool) or not isinstance(placement, int | Key) or (grant is stored and not moves):
        return (step,)
    last = Grant(
        step.key, step.feed, placement, grant, step.fingerprint, step.ids, step.needs_recheck, resolved.refers_to
    )
    return (last,) if isinstance(step, Refresh) else (replace(step, needs_recheck=True), last)


def _without_field(step: Create | Update, name: str) -> dict[str, Any]:
    return {
        "fields": {other: value for other, value in step.fields.items() if other != name},
        "waits_for": {other: key for other, key in step.waits_for.items() if other != name},
    }


def _former_role(key: Key, changed: ChangedRecords) -> Role | None:
    """The role in which a person with this MISID had an account until now."""
    roles = USERS if not key.role.is_place else ()
    former = (role for role in roles if (gone := changed.missed.get(key._replace(role=role))) and gone.is_settled)
    return next(former, None)


def _misid_on_known_account(record: Record, owner: Key, user_id: int, finding: Finding | None) -> Held | Rekey:
    """OneFile has the new MISID on an account that the store knows by another.

    It is a rekey whose answer was lost, or a mix-up.
    """
    if finding is not None and finding.identity in QUESTIONS and owner == finding.other:
        return Rekey(owner, record.key, user_id)
    detail = f"OneFile has it on the account with the UserID {user_id}, which is that of {owner.misid}"
    return _hold(record, Reason.AMBIGUOUS, "MISID", detail)


def _cleared(record: Record, stored: Mapping[str, Value], given: Set[str]) -> list[str]:
    # An unusable value is not an empty one: it has its own warning.
    unusable = {warned.field for warned in record.warnings}
    return sorted((stored.keys() & record.supplied) - given - unusable - {GRANT})


def _hold(record: Record, reason: Reason, name: str, detail: str) -> Held:
    key = record.key
    return Held(key.organisation_id, key.role, key.misid, record.feed, reason, name, detail)


def _hold_person_in_doubt(record: Record, finding: Finding) -> Held:
    """Hold a record that may be a person's for whom a create was sent under another MISID: there may be an account."""
    other = finding.other.misid if finding.other else ""
    detail = f"may be the person of {other} ({finding.evidence}), of whom an earlier create is not settled yet"
    return _hold(record, Reason.IN_DOUBT, "MISID", detail)


def _hold_question(record: Record, finding: Finding, user_id: int | None, fingerprint: str) -> Held:
    """Hold a record until an operator has said who its person is; ``user_id`` is the account if it is the same."""
    key, other, evidence = record.key, finding.other, finding.evidence
    here = quoted(key.misid)
    if finding.identity is Identity.ANOTHER_PERSON or other is None:
        reason = Reason.ANOTHER_PERSON
        whose = f"; the surname and the e-mail are those of {other.misid}" if other else ""
        detail = (
            f"the values are those of another person ({evidence}{whose}): 'syncd retry {here}' if it is the same "
            f"person, 'syncd release {here}' if the MISID has a new owner"
        )
    else:
        reason = QUESTIONS[finding.identity]
        what = "place" if key.role.is_place else "person"
        where = "which has a record as well" if finding.is_other_current else "whose record is gone"
        by = f" ({evidence})" if evidence.equal or evidence.differ else ""
        same = (
            "correct the MISID in the MIS"
            if finding.is_other_current
            else f"'syncd rekey {quoted(other.misid)} {here}'"
        )
        detail = (
            f"looks like {other.misid}, {where}{by}: {same} if it is the same {what}, "
            f"'syncd retry {here}' if it is a new one"
        )
    return replace(
        _hold(record, reason, "MISID", detail),
        fingerprint=fingerprint,
        other=other.misid if other else "",
        user_id=user_id,
        evidence=evidence,
    )


def _hold_another_person(record: Record, user_id: int, evidence: Evidence, fingerprint: str) -> Held:
    here = quoted(record.key.misid)
    detail = (
        f"OneFile has this MISID on the account with the UserID {user_id}, which is that of another person "
        f"({evidence}): 'syncd retry {here}' if it is the same person, 'syncd release {here}' if the MISID has a new "
        "owner"
    )
    hold = _hold(record, Reason.ANOTHER_PERSON, "MISID", detail)
    return replace(hold, fingerprint=fingerprint, user_id=user_id, evidence=evidence)


def _hold_likely_account(record: Record, ids: tuple[int, ...], fingerprint: str) -> Held:
    """Hold a record of which OneFile may have the account, or the place, under another MISID or without one."""
    role, several = record.key.role, len(ids) > 1
    listed = ", ".join(map(str, ids))
    if role.is_place:
        what = f"{'several places' if several else f'a {role}'} that may be this one"
        number, whose = "IDs" if several else "ID", "this place"
    else:
        what = f"{'several accounts' if several else 'an account'} that may be this person's"
        number, whose = "UserIDs" if several else "UserID", "this person"
    detail = (
        f"OneFile has {what}, by name or by a MISID that looks alike, and no record belongs to it: {number} {listed}. "
        f"'syncd link' proposes it for {whose}, 'syncd retry {quoted(record.key.misid)}' creates a new one"
    )
    only = ids[0] if len(ids) == 1 else None
    return replace(_hold(record, Reason.HAS_AN_ACCOUNT, "MISID", detail), fingerprint=fingerprint, user_id=only)


def _hold_lost_account(record: Record, user_id: int | None) -> Held:
    """Hold a person who has an account, as an operator has answered, and for whom OneFile no longer shows it."""
    detail = (
        f"its account was said to be UserID {user_id}, which OneFile no longer shows as one that no record belongs to: "
        f"'syncd link' compares again, 'syncd retry {quoted(record.key.misid)}' creates a new account"
    )
    return _hold(record, Reason.HAS_AN_ACCOUNT, "MISID", detail)


def _unresolved(reason: Reason, code: Code) -> str:
    what = f"{code.referent} with the {code.by} {code.text!r}"
    return f"OneFile has more than one {what}" if reason is Reason.AMBIGUOUS else f"OneFile has no {what}"
