"""Undo: the steps that take back what a run has sent, where OneFile still has it, and what cannot be taken back.

====================  =================================  ==============================================================
Sent by the run       Taken back by                      Left alone, and listed
====================  =================================  ==============================================================
a create              `Leaver`: the account is archived  if it was changed since, or its record was; a place
an update             `Update` with the values before    a field that has another value by now, one whose value before
                                                         is not stored, one that was empty and must not be cleared
an archiving          `Returner`: it is unarchived       if OneFile no longer has it archived
an unarchiving        `Leaver`: it is archived again     if its record is back, or OneFile has archived it
a link, a new MISID,  nothing                            always
an assignment
====================  =================================  ==============================================================

What a run has undone is undone by the same table: the steps of an undo are steps like all others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from syncd.core.accounts import Known, Status
from syncd.core.buffers import Buffer
from syncd.core.compare import Clear
from syncd.core.decisions import StepDigester
from syncd.core.drift import is_same
from syncd.core.fields import FIELDS, GRANT, SENDING_ORDER, Role
from syncd.core.plan import Create, Leaver, Plan, Returner, Step, Update
from syncd.core.records import Key, stamped
from syncd.core.run import Action
from syncd.core.values import Sent

_ACCOUNT: Final = ""
"""The name of no field: the mark of a change of the account as a whole."""
_EMPTY: Final = (None, "")


class Obstacle(StrEnum):
    """Why something that a run has sent is not taken back."""

    CHANGED = "OneFile has another value by now"
    NOT_RETURNED = "OneFile does not return the value, so it may be another one by now"
    NOT_STORED = "the value that OneFile had before is not stored"
    EMPTY_BEFORE = "syncd had no value of it before, and onefile.clear does not let it clear a field"
    ARCHIVED = "the account is archived in OneFile"
    NOT_ARCHIVED = "the account is no longer archived in OneFile"
    GONE = "OneFile no longer has the account"
    OTHER_RECORD = "the account has another MISID by now, or is no longer known"
    RECORD_CHANGED = "the record has changed since"
    RECORD_BACK = "the record is back"
    IN_DOUBT = "it is not known yet whether OneFile has created the account; the next run finds out"
    PLACE = "OneFile cannot archive a place"
    EMAIL = "the e-mail that OneFile sends for a new account"
    LINK = "'syncd unlink' removes a link"
    NEW_MISID = "a new MISID stays"
    ASSIGNMENT = "OneFile cannot take back an assignment"


UndoStep: TypeAlias = Update | Returner | Leaver
_Step = TypeVar("_Step", Update, Returner, Leaver)


@dataclass(frozen=True, slots=True)
class NotUndone:
    """Something that a run has sent and that is not taken back: field names, but no values."""

    key: Key
    action: Action
    fields: tuple[str, ...]
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class SentChange:
    """A change that a run has sent, and may have made."""

    key: Key
    action: Action
    user_id: int | None
    fields: Mapping[str, Sent] = field(repr=False)
    """What was sent."""
    step: Step | None = field(repr=False)
    """The step that it carried out; ``None`` if the plan is no longer stored."""
    before: Mapping[str, Sent] = field(repr=False)
    """The values that OneFile had accepted before, as far as they are known."""


@dataclass(frozen=True, slots=True)
class AccountNow:
    """What the state store and OneFile have of an account."""

    known: Known
    feed: str
    stored: Mapping[str, Sent] = field(repr=False)
    """The values that OneFile last accepted, without those whose answer was lost."""
    values: Mapping[str, object] | None = field(repr=False)
    """The values that OneFile has now, with keys in lower case; ``None`` if it has no such account."""
    is_archived: bool = False
    """Whether OneFile shows it as archived."""


@dataclass(frozen=True, slots=True)
class _ToArchive:
    """A created account of which OneFile has returned every value as sent, or no value."""

    leaver: Leaver
    absent: frozenset[str]


@dataclass(frozen=True, slots=True)
class Undo:
    """The plan that takes changes back, and what it leaves alone."""

    plan: Plan
    left: tuple[NotUndone, ...]
    made: tuple[UndoStep, ...] = ()
    """The steps that OneFile shows as made: the answers of an earlier undo were lost."""


class UndoBuilder:
    """Builds an undo from the changes of a run, account by account."""

    def __init__(self, digester: StepDigester, clear: Clear, now: datetime, *, sends_emails: bool = False) -> None:
        """``sends_emails`` says that OneFile has e-mailed the people whose accounts were created."""
        self._digester = digester
        self._clear = clear
        self._now = now
        self._sends_emails = sends_emails
        self._updates = Buffer(Update)
        self._returners: list[Returner] = []
        self._leavers: list[Leaver] = []
        self._created: list[_ToArchive] = []
        self._made: list[UndoStep] = []
        self._left: list[NotUndone] = []
        self._absent: list[NotUndone] = []
        """The fields that OneFile has not returned, though they had a value."""
        self._returned: set[str] = set()
        """The fields that OneFile has returned for some account, in lower case."""

    def add(self, key: Key, changes: Sequence[SentChange], now: AccountNow | None) -> None:
        """Add the changes of one account, in the order in which they were sent.

        ``now`` is ``None`` if the store has the account under another key, or not at all.
        """
        for change in changes:
            if obstacle := _FINAL.get(change.action):
                self._leave(change, change.fields, obstacle)
        rest = [change for change in changes if change.action not in _FINAL]
        created = next((change for change in rest if change.action is Action.CREATE), None)
        if created is not None and created.user_id is None:
            self._leave(created, (), Obstacle.IN_DOUBT)
        elif now is None or now.known.user_id is None:
            self._leave_all(rest, Obstacle.OTHER_RECORD)
        elif now.values is None:
            self._leave_all(rest, Obstacle.GONE)
        elif rest:
            has = {name.lower(): value for name, value in now.values.items() if value not in _EMPTY}
            self._returned |= has.keys()
            if created is not None:
                self._archive_created(created, rest, now, now.known.user_id, has)
            else:
                self._take_back(key, rest, now, now.known.user_id, has)

    def build(self) -> Undo:
        """The undo of everything that was added."""
        for each in self._created:
            # A field that OneFile returns for no account says nothing.
            if changed := sorted(name for name in each.absent if name.lower() in self._returned):
                self._left.append(NotUndone(each.leaver.key, Action.CREATE, tuple(changed), Obstacle.CHANGED))
            else:
                self._leavers.append(each.leaver)
        for one in self._absent:
            returned = {name for name in one.fields if name.lower() in self._returned}
            for obstacle, names in (
                (Obstacle.CHANGED, returned),
                (Obstacle.NOT_RETURNED, {*one.fields} - returned),
            ):
                if names:
                    self._left.append(replace(one, fields=tuple(sorted(names)), obstacle=obstacle))
        plan = Plan(
            updates=self._updates.close(),
            returners=tuple(sorted(self._returners, key=_by_key)),
            leavers=tuple(sorted(self._leavers, key=_by_key)),
        )
        left = sorted(self._left, key=lambda one: (_by_key(one), one.action, one.fields))
        return Undo(plan, tuple(left), tuple(self._made))

    def _leave(self, change: SentChange, names: Iterable[str], obstacle: Obstacle) -> None:
        self._left.append(NotUndone(change.key, change.action, tuple(sorted(names)), obstacle))

    def _leave_all(self, changes: Iterable[SentChange], obstacle: Obstacle) -> None:
        for change in changes:
            self._leave(change, change.fields if change.action is Action.UPDATE else (), obstacle)

    def _archive_created(
        self,
        created: SentChange,
        changes: Sequence[SentChange],
        now: AccountNow,
        user_id: int,
        has: Mapping[str, object],
    ) -> None:
        """Archive an account that the run has created, unless it was changed since."""
        key = created.key
        if self._sends_emails and not key.role.is_place:
            self._leave(created, (), Obstacle.EMAIL)
        sent: dict[str, Sent] = {}
        for change in changes:
            sent |= change.fields
        absent = frozenset(name for name, value in sent.items() if _is_absent(name, value, has))
        changed = [name for name, value in sent.items() if name not in absent and not _has(name, value, has)]
        step = created.step
        if key.role.is_place:
            self._leave(created, (), Obstacle.PLACE)
        elif now.is_archived:
            self._leave_archived(created, step, now, user_id)
        elif changed:
            self._leave(created, changed, Obstacle.CHANGED)
        elif not isinstance(step, Create):
            self._leave(created, (), Obstacle.NOT_STORED)
        elif now.known.fingerprint not in _fingerprints(step, sent):
            self._leave(created, (), Obstacle.RECORD_CHANGED)
        else:
            undoes, redoes = self._marks(step)
            self._created.append(_ToArchive(self._leaver(key, user_id, now, undoes, redoes), absent))

    def _leave_archived(self, change: SentChange, step: Step | None, now: AccountNow, user_id: int) -> None:
        """Leave an account that would have to be archived, and is."""
        if now.known.status is Status.UNSURE and step is not None:
            self._made.append(self._leaver(change.key, user_id, now, *self._marks(step)))
        elif now.known.status is not Status.ARCHIVED:
            self._leave(change, (), Obstacle.ARCHIVED)

    def _take_back(
        self,
        key: Key,
        changes: Sequence[SentChange],
        now: AccountNow,
        user_id: int,
        has: Mapping[str, object],
    ) -> None:
        """Take back the updates of an account, and that it was archived or unarchived."""
        moved = next((change for change in reversed(changes) if change.action is not Action.UPDATE), None)
        is_unarchived = moved is not None and self._move_back(moved, now, user_id)
        updates = [change for change in changes if change.action is Action.UPDATE]
        if now.is_archived and not is_unarchived:
            self._leave_all(updates, Obstacle.ARCHIVED)
            return
        fields: dict[str, Sent] = {}
        is_made: dict[str, Sent] = {}
        undoes: dict[str, str] = {}
        redoes: dict[str, str] = {}
        for change in updates:
            before, made, obstacles = self._before(change, now, has)
            for obstacle, names in obstacles.items():
                self._leave(change, names, obstacle)
            fields |= before
            is_made |= made
            taken, made_again = self._marks(change.step) if change.step is not None else ({}, {})
            undoes |= taken
            redoes |= made_again
        whole = Update(
            key,
            now.feed,
            user_id,
            {},
            fingerprint=now.known.fingerprint,
            # The next run finds that the record differs, and that an operator wants it so.
            needs_recheck=True,
            undoes=undoes,
            redoes=redoes,
        )
        if fields:
            self._updates.append(_with_fields(whole, fields))
        if is_made:
            self._made.append(_with_fields(whole, is_made))

    def _move_back(self, moved: SentChange, now: AccountNow, user_id: int) -> bool:
        """Take back that an account was archived or unarchived; returns whether it is unarchived."""
        key, step, status = moved.key, moved.step, now.known.status
        if moved.action is Action.ARCHIVE:
            if status not in {Status.ARCHIVED, Status.UNSURE}:
                return False
            left_at = now.known.left_at
            marked = replace(step, left_at=left_at) if isinstance(step, Leaver) else Leaver(key, user_id, left_at, True)
            undoes, redoes = self._marks(marked)
            is_leaver = left_at is not None
            back = Returner(key, user_id, is_archived=True, is_leaver=is_leaver, undoes=undoes, redoes=redoes)
            if now.is_archived:
                self._returners.append(back)
            elif status is Status.UNSURE:
                self._made.append(back)
            else:
                self._leave(moved, (), Obstacle.NOT_ARCHIVED)
            return now.is_archived
        if isinstance(step, Returner) and step.is_leaver and status is Status.ACTIVE:
            self._leave(moved, (), Obstacle.RECORD_BACK)
        elif now.is_archived:
            self._leave_archived(moved, step, now, user_id)
        else:
            undoes, redoes = self._marks(step or Returner(key, user_id, is_archived=True))
            self._leavers.append(self._leaver(key, user_id, now, undoes, redoes))
        return False

    def _leaver(
        self, key: Key, user_id: int, now: AccountNow, undoes: dict[str, str], redoes: dict[str, str]
    ) -> Leaver:
        # The record may be there all the same, so this is not a new leaver.
        return Leaver(key, user_id, now.known.left_at or self._now, to_archive=True, undoes=undoes, redoes=redoes)

    def _before(
        self, change: SentChange, now: AccountNow, has: Mapping[str, object]
    ) -> tuple[dict[str, Sent], dict[str, Sent], dict[Obstacle, list[str]]]:
        """The values to send so that the fields are as before, those that OneFile has again, and the fields left."""
        before: dict[str, Sent] = {}
        made: dict[str, Sent] = {}
        left: dict[Obstacle, list[str]] = {}
        absent = []
        for name, sent in change.fields.items():
            old = change.before.get(name)
            if name == "MISID":
                left.setdefault(Obstacle.NEW_MISID, []).append(name)
            elif name not in change.before or old == sent:
                left.setdefault(Obstacle.NOT_STORED, []).append(name)
            elif _has(name, old, has) and now.stored.get(name) == old:
                # It is as before already.
                continue
            elif old not in _EMPTY and _has(name, old, has) and name not in now.stored:
                made[name] = old
            elif _is_absent(name, sent, has):
                absent.append(name)
            elif not _has(name, sent, has):
                left.setdefault(Obstacle.CHANGED, []).append(name)
            elif old in _EMPTY and self._clear is Clear.KEEP:
                left.setdefault(Obstacle.EMPTY_BEFORE, []).append(name)
            else:
                before[name] = self._cleared if old in _EMPTY else old
        if absent:
            self._absent.append(NotUndone(change.key, change.action, tuple(absent), Obstacle.NOT_RETURNED))
        return before, made, left

    @property
    def _cleared(self) -> Sent:
        return "" if self._clear is Clear.EMPTY else None

    def _marks(self, step: Step) -> tuple[dict[str, str], dict[str, str]]:
        """The marks that taking a step back sets, and those that it removes."""
        if isinstance(step, Update | Returner | Leaver) and (step.undoes or step.redoes):
            return step.redoes, step.undoes
        return self._digester.marks(step), {}


_FINAL: Final = {
    Action.LINK: Obstacle.LINK,
    Action.REKEY: Obstacle.NEW_MISID,
    Action.ASSIGN: Obstacle.ASSIGNMENT,
}


def _with_fields(whole: Update, fields: Mapping[str, Sent]) -> Update:
    """The update of an account, with these fields and their marks."""
    # OneFile ties the access to the placement (§11).
    moves = whole.key.role is Role.EMPLOYER and "PlacementID" in fields
    return replace(
        whole,
        fields=dict(fields),
        invalidates=(GRANT,) if moves else (),
        undoes={name: mark for name, mark in whole.undoes.items() if name in fields},
        redoes={name: mark for name, mark in whole.redoes.items() if name in fields},
    )


def only(undo: Undo, digests: frozenset[str], digester: StepDigester) -> Undo:
    """The undo without the steps that have none of these digests."""

    def chosen(steps: Iterable[_Step]) -> Iterator[_Step]:
        return (step for step in steps if digester.digest(step) in digests)

    plan = undo.plan
    return replace(
        undo,
        plan=replace(
            plan,
            updates=list(chosen(plan.updates)),
            returners=tuple(chosen(plan.returners)),
            leavers=tuple(chosen(plan.leavers)),
        ),
    )


def _fingerprints(step: Create, sent: Mapping[str, Sent]) -> set[str]:
    """The fingerprints that the store may have of the record of a created account, if it has not changed since."""
    awaited = {name: onefile_id for name in step.waits_for if isinstance(onefile_id := sent.get(name), int)}
    # A create whose answer was lost leaves none.
    return {"", stamped(step.fingerprint, step.ids), stamped(step.fingerprint, step.ids | awaited)}


def _has(name: str, value: Sent, has: Mapping[str, object]) -> bool:
    """Whether OneFile has this value in a field."""
    current = has.get(name.lower())
    if value is None or value == "" or current is None:
        return value in _EMPTY and current is None
    return is_same(FIELDS[name].kind, value, current)


def _is_absent(name: str, value: Sent, has: Mapping[str, object]) -> bool:
    return value not in _EMPTY and name.lower() not in has


def _by_key(one: UndoStep | NotUndone) -> tuple[int, str]:
    return SENDING_ORDER.index(one.key.role), one.key.misid
