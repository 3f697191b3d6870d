"""What operators have decided about the steps of plans, and what a run may therefore send.

A run sends the steps that were approved and that the MIS still asks for. It never sends a rejected step, and none that
was set aside when another part of its plan was approved. All other steps are new: the guard decides about them on
their own. A step is recognised by its digest, which is made of its key, its action, its fields and their values.

A change that was taken back is recognised by its marks, one for each field, because later changes of its record may be
planned together with it. It is not made again until its record changes or an operator asks for it.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import compress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from syncd.core.digests import Digester
from syncd.core.fields import GRANT
from syncd.core.guard import ChangeKind
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Rekey, Returner, Step, Update
from syncd.core.records import Held, Key, Reason
from syncd.core.suspension import ActionKind
from syncd.core.values import Sent


class StepKind(StrEnum):
    """What a step does, as an operator reads it."""

    CREATE = "create"
    UPDATE = "update"
    LINK = "link"
    REKEY = "rekey"
    RELEASE = "release"
    UNARCHIVE = "unarchive"
    RETURN = "return"
    """A leaver's record is back; nothing is sent."""
    ASSIGN = "assign"
    ARCHIVE = "archive"
    LEAVE = "leave"
    """A record is gone; nothing is sent."""

    @property
    def change_kind(self) -> ChangeKind:
        """What the guard counts it as."""
        match self:
            case StepKind.CREATE:
                return ChangeKind.CREATES
            case StepKind.LEAVE:
                return ChangeKind.LEAVERS
            case StepKind.ARCHIVE:
                return ChangeKind.ARCHIVINGS
            case _:
                return ChangeKind.UPDATES


class Part(StrEnum):
    """The part of a plan that an approval may be limited to; archivings are the leavers' part."""

    CREATES = "creates"
    UPDATES = "updates"
    LEAVERS = "leavers"

    @property
    def kinds(self) -> frozenset[StepKind]:
        """The kinds of steps in it."""
        return _KINDS[self]


_KINDS: Final[Mapping[Part, frozenset[StepKind]]] = {
    Part.CREATES: frozenset({StepKind.CREATE}),
    Part.LEAVERS: frozenset({StepKind.ARCHIVE, StepKind.LEAVE}),
    Part.UPDATES: frozenset(StepKind) - {StepKind.CREATE, StepKind.ARCHIVE, StepKind.LEAVE},
}


class Decision(StrEnum):
    """What was decided about a step of a stored plan."""

    ALLOWED = "allowed"
    """It is sent without approval, because the guard allows it."""
    APPROVED = "approved"
    UNDECIDED = "undecided"
    """It waits for an operator."""
    REJECTED = "rejected"


class Verdict(StrEnum):
    """What was decided earlier about a step of a new plan."""

    NEW = "new"
    APPROVED = "approved"
    SET_ASIDE = "set_aside"
    """Another part of the plan that it was in was approved; it waits for an operator."""
    REJECTED = "rejected"
    UNDONE = "undone"
    """An operator has taken it back since."""


_WITHHELD: Final = frozenset({Verdict.REJECTED, Verdict.UNDONE})


@dataclass(frozen=True, slots=True)
class StepText:
    """A step as it is listed: names of fields, but no values."""

    kind: StepKind
    key: Key
    fields: tuple[str, ...] = ()
    other: str = ""
    """The old MISID of a rekey, or the MISID of the user who is assigned."""


def describe_step(step: Step) -> StepText:  # noqa: PLR0911 - one for each kind
    """What a step does, to which account, with which fields."""
    match step:
        case Create():
            return StepText(StepKind.CREATE, step.key, _names(step))
        case Update():
            return StepText(StepKind.LINK if step.is_link else StepKind.UPDATE, step.key, _names(step))
        case Rekey():
            kind = StepKind.RELEASE if step.is_release else StepKind.REKEY
            return StepText(kind, step.record_key, ("MISID",), step.key.misid if step.is_release else step.old.misid)
        case Returner():
            return StepText(StepKind.UNARCHIVE if step.is_archived else StepKind.RETURN, step.key)
        case Grant():
            return StepText(StepKind.ASSIGN, step.key, (GRANT, "PlacementID"))
        case Assign():
            return StepText(StepKind.ASSIGN, step.learner, ("UserID",), step.user.misid)
        case Leaver():
            return StepText(StepKind.ARCHIVE if step.to_archive else StepKind.LEAVE, step.key)


def values_of(step: Step) -> dict[str, Sent | Key]:
    """The values of a step by field; an account that a code of the MIS stands for is its key.

    The key is the same before and after the account is created, so that a run which was cut short between the two
    still has the same step.
    """
    match step:
        case Create() | Update():
            return {**step.fields, **step.waits_for, **{k: v for k, v in step.refers_to.items() if k in step.fields}}
        case Rekey():
            return {"MISID": step.key.misid}
        case Grant():
            return {GRANT: step.is_open, "PlacementID": step.refers_to.get("PlacementID", step.placement)}
        case Assign():
            return {"UserID": step.user}
        case Returner() | Leaver():
            return {}


def shown_values(step: Step) -> dict[str, Sent | Key]:
    """The values of a step as an operator reads them: an id where it is known, else the account that it will be of."""
    values = values_of(step)
    return {**values, **step.fields} if isinstance(step, Create | Update) else values


def _names(step: Create | Update) -> tuple[str, ...]:
    return tuple(sorted(step.fields.keys() | step.waits_for.keys()))


class StepDigester:
    """Makes the digests by which a step is recognised in the plan of another run."""

    def __init__(self, secret: bytes) -> None:
        self._digester = Digester(secret)

    def digest(self, step: Step) -> str:
        """The digest of a step; equal only for the same change of the same account.

        An update that completes a create whose answer was lost is still that create.
        """
        if isinstance(step, Update) and step.completes:
            step = Create(step.key, step.feed, step.completes, step.waits_for, refers_to=step.refers_to)
        text = describe_step(step)
        # A link makes an account the record's: it is another change if it is another account.
        account = step.user_id if isinstance(step, Update) and step.is_link else None
        return self._digester.digest([text.kind, text.key, text.other, account, sorted(values_of(step).items())])

    def marks(self, step: Step) -> dict[str, str]:
        """The marks by which a step is recognised once it was taken back, by field; none if it cannot be.

        An account that was created, and is archived because of that, is unarchived again once its record is another
        one; one that was archived is archived again once its record was back.
        """
        match step:
            case Update(is_link=False):
                return {name: self._mark(step, name, value) for name, value in values_of(step).items()}
            case Create(fingerprint=fingerprint) | Returner(is_archived=True, fingerprint=fingerprint):
                return {"": self._mark(step, StepKind.UNARCHIVE, fingerprint)}
            case Leaver(to_archive=True):
                return {"": self._mark(step, StepKind.ARCHIVE, step.left_at.isoformat() if step.left_at else "")}
            case _:
                return {}

    def _mark(self, step: Create | Update | Returner | Leaver, what: str, value: Sent | Key) -> str:
        return self._digester.digest([Verdict.UNDONE, step.key, what, value])


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions that are in force, by the digests of the steps."""

    approved: Mapping[str, int] = field(default_factory=dict)
    """The number of the approval that permits each step."""
    set_aside: Collection[str] = frozenset()
    rejected: Collection[str] = frozenset()
    """And the marks of the changes that were taken back."""
    is_approved: bool = False
    """Whether an approval is in force, even one without steps."""

    def verdict(self, digest: str) -> Verdict:
        """What was decided about the step with this digest."""
        if digest in self.rejected:
            return Verdict.REJECTED
        if digest in self.approved:
            return Verdict.APPROVED
        return Verdict.SET_ASIDE if digest in self.set_aside else Verdict.NEW

    @property
    def are_none(self) -> bool:
        """Whether every step is new."""
        return not (self.approved or self.set_aside or self.rejected)


_Item = TypeVar("_Item")


class _Chosen(Collection[_Item], Generic[_Item]):
    """Some items of a collection, which may be larger than memory."""

    def __init__(self, items: Collection[_Item], is_chosen: Sequence[int]) -> None:
        self._items = items
        self._is_chosen = is_chosen
        self._count = sum(is_chosen)

    def __iter__(self) -> Iterator[_Item]:
        return compress(self._items, self._is_chosen)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, item: object) -> bool:
        return any(each == item for each in self)


#: The collections of a plan that have steps, each after those that it depends on.
_STEPS: Final = ("returners", "rekeys", "creates", "updates", "grants", "assigns", "leavers")
_TUPLES: Final = frozenset({"returners", "rekeys", "assigns", "leavers"})

_Flags: TypeAlias = dict[str, bytearray]


@dataclass(frozen=True)
class DividedPlan:
    """A plan, divided by what was decided earlier about its steps."""

    plan: Plan
    """Without the rejected steps and those that depend on one; their records are held."""
    _verdicts: Mapping[str, Sequence[Verdict]] | None = None
    """By collection; ``None`` if every step is new."""
    withholds_leavers: bool = False
    """Whether leavers were rejected, or wait."""

    @property
    def new(self) -> Plan:
        """The steps that nothing was decided about: the guard counts these."""
        if self._verdicts is None:
            return self.plan
        return _choose(self.plan, self._where(Verdict.NEW))

    @property
    def has_set_aside(self) -> bool:
        """Whether it has steps that were set aside earlier."""
        return self._verdicts is not None and any(Verdict.SET_ASIDE in found for found in self._verdicts.values())

    def split(self, *, sends_new: bool, sends_all: bool = False) -> "SplitPlan":
        """Split it into what is sent and what waits.

        ``sends_new`` also sends the new steps, ``sends_all`` those that were set aside as well. A step that depends on
        one that waits has to wait, too.
        """
        if sends_all or (self._verdicts is None and sends_new):
            return SplitPlan(self.plan, Plan())
        sent = {Verdict.APPROVED, Verdict.NEW} if sends_new else {Verdict.APPROVED}
        to_send, waiting, has_blocked = _separate(self.plan, self._where(*sent))
        return SplitPlan(to_send, waiting, has_blocked)

    def _where(self, *verdicts: Verdict) -> _Flags:
        if self._verdicts is None:
            is_chosen = Verdict.NEW in verdicts
            return {name: bytearray([is_chosen]) * len(getattr(self.plan, name)) for name in _STEPS}
        return {name: bytearray(each in verdicts for each in found) for name, found in self._verdicts.items()}


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The two parts of a plan that a run treats differently."""

    to_send: Plan
    waiting: Plan
    """The steps that wait for an operator."""
    has_blocked: bool = False
    """Whether an approved step waits, because it depends on one that does."""
    queued: Plan = field(default_factory=Plan)
    """The steps of suspended actions, and what depends on them: they may be sent once OneFile accepts such a step."""

    def hold_back(self, suspended: Mapping[ActionKind, int]) -> "SplitPlan":
        """Queue the steps of suspended actions, but for one of each, which is tried.

        ``suspended`` says how many were tried before, so that each run tries another one.
        """
        if not suspended:
            return self
        plan = self.to_send
        # A leaver is recorded whether or not it can be archived.
        is_free = {name: bytearray(not _is_of(step, suspended) for step in getattr(plan, name)) for name in _STEPS}
        without_any = {name: bytearray(flags) for name, flags in is_free.items()}
        blocked = _Dependencies(plan, without_any).blocked
        for name, at in _choose_tries(plan, suspended, blocked):
            is_free[name][at] = 1
        to_send, queued, _ = _separate(plan, is_free)
        left = (leaver for leaver in queued.leavers if leaver.left_at is None and _is_of(leaver, suspended))
        leavers = (*to_send.leavers, *(replace(leaver, to_archive=False) for leaver in left))
        return replace(self, to_send=replace(to_send, leavers=leavers), queued=queued)


def divide(plan: Plan, decisions: Decisions, digester: StepDigester) -> DividedPlan:
    """Divide a plan by what was decided earlier about its steps. The records of rejected steps are held."""
    if decisions.are_none:
        return DividedPlan(plan)
    verdicts = {name: [_verdict(step, decisions, digester) for step in getattr(plan, name)] for name in _STEPS}
    withholds_leavers = not {Verdict.REJECTED, Verdict.SET_ASIDE}.isdisjoint(verdicts["leavers"])
    if all(_WITHHELD.isdisjoint(found) for found in verdicts.values()):
        return DividedPlan(plan, verdicts, withholds_leavers)
    is_kept = {name: bytearray(each not in _WITHHELD for each in found) for name, found in verdicts.items()}
    blocked = _Dependencies(plan, is_kept).blocked
    held = tuple(
        _held(step, verdict)
        for name in _STEPS
        for step, verdict, kept in zip(getattr(plan, name), verdicts[name], is_kept[name], strict=True)
        if not kept
    )
    refreshes = bytearray(refresh.key not in blocked for refresh in plan.refreshes)
    rest = replace(
        _choose(plan, is_kept),
        held=(*plan.held, *dict.fromkeys(held)),
        refreshes=_Chosen(plan.refreshes, refreshes),
        next_programmes=tuple(one for one in plan.next_programmes if one.key not in blocked),
    )
    kept = {name: list(compress(found, is_kept[name])) for name, found in verdicts.items()}
    return DividedPlan(rest, kept, withholds_leavers)


def _verdict(step: Step, decisions: Decisions, digester: StepDigester) -> Verdict:
    if isinstance(step, Returner) and not step.is_archived:
        # Nothing is sent. If it waited, days of grace would begin when the record was missed before.
        return Verdict.NEW
    verdict = decisions.verdict(digester.digest(step))
    if verdict is Verdict.NEW and decisions.rejected:
        marks = digester.marks(step)
        if marks and all(mark in decisions.rejected for mark in marks.values()):
            return Verdict.UNDONE
    return verdict


def steps_with_decisions(
    split: SplitPlan, decisions: Decisions, digester: StepDigester, *, is_approved: bool = False
) -> Iterator[tuple[int, Step, str, Decision]]:
    """The steps of a split plan, in the order in which they are sent, to be stored.

    Each has the number of its stage, from 1 (0 for the steps that take no call), its digest and what was decided about
    it. ``is_approved`` says that all of it was approved beforehand.
    """
    for part in (split.to_send, split.waiting):
        for stage, steps in enumerate(all_stages(part)):
            for step in steps:
                digest = digester.digest(step)
                if part is split.waiting:
                    decision = Decision.UNDECIDED
                else:
                    covered = is_approved or digest in decisions.approved
                    decision = Decision.APPROVED if covered else Decision.ALLOWED
                yield stage, step, digest, decision


def all_stages(plan: Plan) -> Iterator[Iterable[Step]]:
    """The stages of a plan, the first of which has the steps that take no call and are counted by the guard."""
    yield _without_calls(plan)
    yield from plan.stages()


def has_steps(plan: Plan) -> bool:
    """Whether a plan has any step."""
    return any(True for stage in all_stages(plan) for _ in stage)


def count_steps(plan: Plan) -> int:
    """How many steps a plan has."""
    return plan.calls + sum(1 for _ in _without_calls(plan))


def _is_of(step: Step, kinds: Collection[ActionKind]) -> bool:
    """Whether a step takes a call of one of these kinds."""
    if (isinstance(step, Leaver) and not step.to_archive) or (isinstance(step, Returner) and not step.is_archived):
        return False
    return ActionKind.of(step) in kinds


def _choose_tries(
    plan: Plan, suspended: Mapping[ActionKind, int], blocked: Collection[Key]
) -> Iterator[tuple[str, int]]:
    """The step of each suspended action that is tried: its collection, and its position there.

    It should not depend on a step that is queued.
    """
    for name in _STEPS:
        positions: dict[ActionKind, array[int]] = {}
        for at, step in enumerate(getattr(plan, name)):
            if _is_of(step, suspended) and not _depends(step, blocked):
                positions.setdefault(ActionKind.of(step), array("L")).append(at)
        for kind, found in positions.items():
            yield name, found[suspended[kind] % len(found)]


def _depends(step: Step, blocked: Collection[Key]) -> bool:
    match step:
        case Create():
            return _waits(step, blocked)
        case Update():
            return _waits(step, blocked) or (step.key in blocked and not step.is_link)
        case _:
            return False


def _separate(plan: Plan, is_sent: _Flags) -> tuple[Plan, Plan, bool]:
    """The part of a plan that is sent, and the other part; and whether flagged steps are in the other part.

    A step that depends on one of the other part is in it, too.
    """
    chosen = sum(map(sum, is_sent.values()))
    blocked = _Dependencies(plan, is_sent).blocked
    refreshes = bytearray(refresh.key not in blocked for refresh in plan.refreshes)
    has_blocked = sum(map(sum, is_sent.values())) < chosen
    others = {name: bytearray(1 - each for each in flags) for name, flags in is_sent.items()}
    to_send = replace(_choose(plan, is_sent), refreshes=_Chosen(plan.refreshes, refreshes))
    nothing: dict[str, Any] = dict.fromkeys(("refreshes", "held", "warnings", "next_programmes"), ())
    return to_send, replace(_choose(plan, others), unchanged=0, **nothing), has_blocked


def _without_calls(plan: Plan) -> Iterator[Step]:
    yield from (leaver for leaver in plan.new_leavers if not leaver.to_archive)
    yield from (returner for returner in plan.returners if not returner.is_archived)


def _choose(plan: Plan, is_chosen: _Flags) -> Plan:
    chosen: dict[str, Any] = {name: _Chosen(getattr(plan, name), flags) for name, flags in is_chosen.items()}
    in_memory: dict[str, Any] = {name: tuple(chosen[name]) for name in _TUPLES}
    return replace(plan, **(chosen | in_memory))


class _Dependencies:
    """Clears the flags of the steps that depend on one whose flag is not set."""

    def __init__(self, plan: Plan, is_sent: _Flags) -> None:
        self._plan = plan
        self._is_sent = is_sent
        self.blocked: set[Key] = set()
        """The keys of the accounts that are not created, linked, unarchived or given another MISID."""
        self._clear_new_accounts()
        self._clear_updates()
        self._clear_assignments()
        for at, leaver in enumerate(plan.leavers):
            # A leaver that an earlier run has reported is no step.
            is_step = leaver.left_at is None or leaver.to_archive
            is_sent["leavers"][at] = not is_step or self._check("leavers", at, depends=leaver.key in self.blocked)

    def _check(self, name: str, position: int, *, depends: bool) -> bool:
        self._is_sent[name][position] &= not depends
        return bool(self._is_sent[name][position])

    def _clear_new_accounts(self) -> None:
        blocked = self.blocked
        for at, returner in enumerate(self._plan.returners):
            if not self._check("returners", at, depends=False):
                blocked.add(returner.key)
        for at, rekey in enumerate(self._plan.rekeys):
            if not self._check("rekeys", at, depends=rekey.old in blocked):
                blocked |= {rekey.key, rekey.record_key}
        for at, create in enumerate(self._plan.creates):
            if not self._check("creates", at, depends=_waits(create, blocked)):
                blocked.add(create.key)

    def _clear_updates(self) -> None:
        blocked = self.blocked
        not_moved: set[Key] = set()
        for at, update in enumerate(self._plan.updates):
            is_kept = self._check("updates", at, depends=update.key in blocked or _waits(update, blocked))
            if not is_kept and update.is_link:
                blocked.add(update.key)
            if not is_kept and ("PlacementID" in update.fields or "PlacementID" in update.waits_for):
                not_moved.add(update.key)
        for at, grant in enumerate(self._plan.grants):
            # OneFile accepts it only for the placement that the employer has by now (§11).
            depends = grant.key in blocked or grant.key in not_moved or grant.placement in blocked
            self._check("grants", at, depends=depends)

    def _clear_assignments(self) -> None:
        not_assigned: set[tuple[Key, Key | None]] = set()
        for at, assign in enumerate(self._plan.assigns):
            depends = assign.learner in self.blocked or assign.user in self.blocked
            if not self._check("assigns", at, depends=depends):
                not_assigned.add((assign.learner, assign.user))
        for at, update in enumerate(self._plan.updates) if not_assigned else ():
            self._check("updates", at, depends=(update.key, update.after_assigning) in not_assigned)


def _waits(step: Create | Update, blocked: Collection[Key]) -> bool:
    return any(key in blocked for key in step.waits_for.values())


def _held(step: Step, verdict: Verdict) -> Held:
    text = describe_step(step)
    feed: str = getattr(step, "feed", "")
    if verdict is Verdict.UNDONE and isinstance(step, Returner):
        detail = "an operator has undone that its account was created or unarchived: it stays archived"
    elif verdict in _WITHHELD:
        detail = f"an operator has {verdict} this change: {text.kind}"
        detail += f" of {', '.join(text.fields)}" if text.fields else ""
    else:
        detail = f"this change depends on one that an operator has rejected or undone: {text.kind}"
    return Held(*text.key, feed, Reason.REJECTED, "", detail)
