"""A college's year in random steps, with syncd's promises checked after each."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar, Final

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from sqlalchemy import func, select

from syncd.core.compare import Clear
from syncd.core.guard import Limits
from syncd.core.run import RunState
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import NothingToSettle, SyncdError
from syncd.simulator import Fault, FaultKind, LimiterShape, MisidFilter, Switches
from syncd.state import approvals, changes, held_records
from syncd.state.db.tables import approval, run
from syncd.sync.context import Policy
from syncd.sync.run import RunResult

from .college import ASSESSOR, ASSESSORS, LEARNER, LEARNERS, Who
from .mortality import Killed, Moment
from .site import ORGANISATION, FreshStore, Listed, Site
from .witness import Did

FLOOR: Final = 2
SETTLE: Final = timedelta(seconds=60)

learners = st.sampled_from([Who(LEARNER, misid) for misid in LEARNERS])
people = learners | st.sampled_from([Who(ASSESSOR, misid) for misid in ASSESSORS])
columns = st.sampled_from(
    [
        *[("surname", "Old"), ("surname", "New")] * 4,
        ("phone", "020 7946 0000"),
        ("phone", None),
        ("dob", "2004-02-29"),
        ("dob", "no date"),
        ("classroom", "Welding"),
        ("classroom", "Business Admin L2"),
        ("assessor", "A2"),
        ("assessor", "A3"),
        ("assessor", "NOBODY"),
        ("email", None),
        ("email", "other@example.org"),
    ]
)
#: What is done and not told of makes the best stories.
_KINDS: Final = [
    *(kind for kind in FaultKind if kind is not FaultKind.LATENCY),
    *(FaultKind.DROP_AFTER, FaultKind.ERROR_AFTER) * 2,
]
faults = st.builds(
    Fault,
    st.sampled_from(_KINDS),
    path=st.sampled_from(["*", "/User", "/User/*", "/User/*rchive", "/User/Search*", "/Authentication", "/Org*"]),
    times=st.sampled_from([1, 3, 3, 6]),
    skip=st.sampled_from([0, 0, 0, 1]),
)
edits = st.one_of(
    st.tuples(st.just("enrol"), people),
    st.tuples(st.just("edit"), people, columns),
    st.tuples(st.just("edit"), people, columns),
    st.tuples(st.just("withdraw"), people),
    st.tuples(st.sampled_from(["double", "mend"]), people),
)
deaths = st.tuples(st.sampled_from(Moment), st.integers(1, 15))
_STAFF_COLUMNS: Final = {"surname", "phone", "email"}


@dataclass(slots=True)
class Budget:
    """What an approval still allows, and until when."""

    creates: int
    updates: int
    leavers: int
    until: datetime


class Promises(RuleBasedStateMachine):
    """The MIS changes, OneFile fails, processes die, clocks jump, people meddle; syncd keeps its word."""

    fresh_store: ClassVar[FreshStore]
    in_flight: ClassVar[int] = 1
    tally: ClassVar[Counter[str]] = Counter()
    """What has happened in all years together, to see that it is not always the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="syncd-model-"))
        self.budget: Budget | None = None
        self.missed_at: dict[Who, datetime] = {}
        self.refused: set[Who] = set()
        """Who was refused for a good reason, and is so until the row changes or somebody says to try again."""
        self.site: Site

    @initialize(
        limiter=st.sampled_from([LimiterShape.BUCKET, LimiterShape.SLIDING, LimiterShape.FIXED]),
        switches=st.fixed_dictionaries(
            {
                "keychain": st.booleans(),
                "search_lag_seconds": st.sampled_from([0, 20, 55]),
                "misid_filter": st.sampled_from(MisidFilter),
                "archived_in_searches": st.booleans(),
                "clearing": st.booleans(),
            }
        ),
        policy=st.fixed_dictionaries(
            {
                "archives_leavers": st.booleans(),
                "grace": st.sampled_from([timedelta(), timedelta(days=2)]),
                "protected": st.sampled_from([frozenset(), frozenset({"1"})]),
                "clear": st.sampled_from([Clear.KEEP, Clear.EMPTY]),
            }
        ),
    )
    def a_college_in_step(self, limiter: LimiterShape, switches: dict[str, Any], policy: dict[str, Any]) -> None:
        self.site = Site(
            self.folder,
            type(self).fresh_store(),
            Switches(limiter=limiter, **switches),
            Policy(limits=Limits(floor=FLOOR), settle=SETTLE, max_in_flight=self.in_flight, **policy),
        )
        for role, misids in ((ASSESSOR, ASSESSORS[:2]), (LEARNER, LEARNERS[:3])):
            for misid in misids:
                self.site.college.enrol(Who(role, misid))
        self._checked(self.site.run(approved=True), approved=True)

    @rule(
        edited=st.lists(edits, min_size=1, max_size=6),
        orders=st.lists(faults, max_size=2),
        lasts=st.booleans(),
        death=st.none() | deaths,
        approved=st.sampled_from([False, False, True]),
    )
    def run(
        self,
        edited: list[tuple[Any, ...]],
        orders: list[Fault],
        lasts: bool,
        death: tuple[Moment, int] | None,
        approved: bool,
    ) -> None:
        """The MIS changes, OneFile has a bad day, and perhaps the process dies."""
        self._edit(edited)
        self.site.onefile.faults.add(*orders)
        self._run(approved=approved, death=death)
        if not lasts:
            self.site.onefile.faults.clear()

    @rule(edited=st.lists(edits, min_size=3, max_size=12))
    def run_and_again(self, edited: list[tuple[Any, ...]]) -> None:
        """A second run at once has nothing to do."""
        self._edit(edited)
        self.site.onefile.faults.clear()
        done = self._run()
        if done is None or done.state is not RunState.FINISHED or self.site.listed().in_doubt:
            return
        self._run()
        # What OneFile will not archive is asked again, for one day it will.
        told = [call.path for call in self.site.onefile.journal.writes if not call.path.endswith("rchive")]
        assert not told, told

    @rule(who=people)
    def run_for_one(self, who: Who) -> None:
        self._run(scope=Scope.of([who.misid]))

    @rule(who=people, is_archived=st.booleans())
    def meddle(self, who: Who, is_archived: bool) -> None:
        """A person makes an account in OneFile, or archives one that is there, or brings it back."""
        witness = self.site.witness
        accounts = witness.accounts_of(who)
        if not accounts:
            fields = {"MISID": who.misid, "FirstName": "Hand", "LastName": "Made", "Email": "hand@example.org"}
            witness.make_by_hand(who, fields)
        elif who.role == LEARNER:
            for user in accounts:
                if is_archived and not user.is_archived:
                    user.is_archived = True
                    witness.archived_by_hand.add(user.id)
                elif not is_archived and user.id in witness.archived_by_hand:
                    user.is_archived = False
                    witness.archived_by_hand.discard(user.id)

    @rule(is_on=st.booleans())
    def set_keychain(self, is_on: bool) -> None:
        self.site.onefile.sow({"organisations": [{"ID": ORGANISATION, "KeychainCreationForNewUserActive": is_on}]})

    @rule(span=st.sampled_from([timedelta(hours=1), timedelta(hours=23, minutes=30), timedelta(days=3)]))
    def let_time_pass(self, span: timedelta) -> None:
        self.site.clocks.passes(span)

    @rule()
    def set_the_clock(self) -> None:
        """Back by an hour, or right again."""
        # Setting a clock forward makes a search look older than it is: only time that passes makes up for it.
        if self.site.clocks.off:
            self.site.clocks.passes(SETTLE)
        self.site.clocks.off = timedelta() if self.site.clocks.off else timedelta(hours=-1)

    @rule(is_yes=st.sampled_from([True, True, False]))
    def settle_what_waits(self, is_yes: bool) -> None:
        now = self.site.clocks()
        with suppress(NothingToSettle), self.site.store.begin() as connection:
            if is_yes:
                counts = approvals.approve(connection, ORGANISATION, None, "a test", now).counts
                self.budget = Budget(counts.creates, counts.updates, counts.leavers, now + timedelta(hours=24))
            else:
                approvals.reject(connection, ORGANISATION, None, "somebody")

    @rule()
    def retry(self) -> None:
        everybody = sorted({who.misid for who in self.site.college.people})
        with self.site.store.begin() as connection:
            held_records.retry(connection, ORGANISATION, everybody, self.site.clocks())

    def _edit(self, edited: list[tuple[Any, ...]]) -> None:
        college = self.site.college
        for what, who, *columns_ in edited:
            match what:
                case "enrol":
                    college.enrol(who)
                case "edit":
                    ((name, value),) = columns_
                    if who.role == LEARNER or name in _STAFF_COLUMNS:
                        college.edit(who, **{name: value})
                case "withdraw":
                    college.withdraw(who)
                case "double":
                    college.double(who)
                case "mend":
                    college.mend(who)

    def _run(
        self,
        *,
        approved: bool = False,
        scope: Scope = EVERYONE,
        death: tuple[Moment, int] | None = None,
    ) -> RunResult | None:
        before = self.site.listed()
        done, was_killed = None, False
        try:
            done = self.site.run(approved=approved, scope=scope, death=death)
        except SyncdError as problem:
            note(f"-> {problem}")
        except Killed:
            was_killed = True
        self._checked(done, before=before, approved=approved, scope=scope, was_killed=was_killed)
        return done

    # What was promised

    def _checked(
        self,
        done: RunResult | None,
        *,
        before: Listed | None = None,
        approved: bool = False,
        scope: Scope = EVERYONE,
        was_killed: bool = False,
    ) -> None:
        how = done.state if done else "killed" if was_killed else "failed"
        note(f"-> {how}, {done and done.counts}: {', '.join(map(str, self.site.witness.deeds))}")
        self.tally.update(["run", f"run {how}", *(deed.did for deed in self.site.witness.deeds)])
        listed = self.site.listed()
        self.site.witness.check_nobody_is_there_twice()
        self.site.witness.check_calls(was_cut_short=done is None)
        self.site.clocks.check_waits()
        self._check_bounds(before, listed, done, approved=approved)
        if done is not None and done.state is RunState.AWAITING_APPROVAL:
            assert not self.site.witness.deeds
        elif done is not None and done.state is RunState.FINISHED:
            for who in self.site.college.people:
                if who.misid in scope:
                    self._check_in_step(who, listed)
        # Nobody starts the next one in the same moment.
        self.site.clocks.passes(timedelta(seconds=5))

    def _check_bounds(self, before: Listed | None, after: Listed, done: RunResult | None, *, approved: bool) -> None:
        """P4: no more than the guard or an approval lets through."""
        gone = {who for who in after.ids if not self.site.college.of(who)}
        left = {who for who in gone if after.statuses[who] != "active"}
        statuses = before.statuses if before else {}
        newly = {who for who in left if statuses.get(who, "active") == "active"}
        self.missed_at = {who: self.missed_at.get(who, self.site.clocks()) for who in left}
        self._check_archived(gone)
        witness = self.site.witness
        counts = {
            "creates": len(witness.done(Did.CREATE)),
            "updates": len(witness.done(Did.UPDATE) | witness.done(Did.UNARCHIVE)),
            "leavers": len(newly),
        }
        over = {kind: count for kind, count in counts.items() if count > FLOOR}
        if approved and done is None:
            # What was approved beforehand and then cut short is for the next run to finish.
            self.budget = self._approval_of_the_newest_run() or self.budget
        elif approved:
            return
        if not over:
            return
        assert self.budget is not None, f"{over} where {FLOOR} are allowed, and nobody approved it"
        assert self.site.clocks() < self.budget.until + timedelta(minutes=10), "an approval has lapsed"
        for kind, count in counts.items():
            granted = getattr(self.budget, kind)
            assert kind not in over or count <= granted, f"{count} {kind} where {granted} were approved"
            setattr(self.budget, kind, granted - count)
        if done is not None:
            self.budget = None

    def _approval_of_the_newest_run(self) -> Budget | None:
        is_its = approval.c.run_id == select(func.max(run.c.id)).scalar_subquery()
        with self.site.store.begin() as connection:
            row = connection.execute(select(approval).where(is_its)).one_or_none()
        return Budget(row.creates, row.updates, row.leavers, row.expires_at) if row else None

    def _check_archived(self, gone: set[Who]) -> None:
        """Archived is only who has been gone for as long as they may, and is not protected."""
        policy = self.site.policy
        for deed in self.site.witness.deeds:
            if deed.did is Did.ARCHIVE:
                assert policy.archives_leavers
                assert deed.who in gone, f"archived {deed.who}, who is in the MIS"
                assert deed.who.misid not in policy.protected
                # The clock may have been an hour behind when they were first missed.
                gone_for = self.site.clocks() - self.missed_at[deed.who]
                assert gone_for >= policy.grace - timedelta(hours=1), f"archived {deed.who} after {gone_for}"

    def _is_refusable(self, who: Who) -> bool:
        """Whether OneFile changes nothing of it: it is archived, or its assessor is."""
        witness = self.site.witness
        assessors = witness.accounts_of(Who(ASSESSOR, self.site.college.of(who)[0].assessor))
        return any(account.is_archived for account in (*witness.accounts_of(who), *assessors))

    def _check_in_step(self, who: Who, listed: Listed) -> None:
        """P2: in step, or held with the reason that is right, or in doubt."""
        held = listed.held.get(who, set())
        fault = self.site.college.fault_of(who)
        if fault:
            assert held == {fault}, f"{who} is held as {held} and not as {fault}"
            return
        assert not held & {"missing", "unusable", "duplicate_key"}, f"{who} is held as {held}"
        if "refused" in held:
            assert who in self.refused or self._is_refusable(who), f"{who} is refused"
            self.refused.add(who)
        else:
            self.refused.discard(who)
        if held or who in listed.in_doubt:
            return
        user_id = listed.ids.get(who)
        assert user_id is not None, f"{who} is nowhere"
        account = self.site.onefile.world.users[user_id]
        assert (account.role, account.misid) == who
        (row,) = self.site.college.of(who)
        shown = {name: account.values.get(name) for name in row.values}
        assert shown == row.values, f"{who} is out of step"
        if who.role == LEARNER:
            assessor = self.site.onefile.world.users[account.values["DefaultAssessorID"]]
            assert assessor.misid == row.assessor, f"{who} has another assessor"
        if account.id not in self.site.witness.archived_by_hand:
            assert not account.is_archived, f"{who} is archived"

    def check_invariants(self, *arguments: Any, **options: Any) -> None:
        self.tally["step"] += 1
        super().check_invariants(*arguments, **options)

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            rmtree(self.folder, ignore_errors=True)
            return
        try:
            self._comes_into_step()
        finally:
            self.site.close()
            rmtree(self.folder, ignore_errors=True)

    def _comes_into_step(self) -> None:
        """Once trouble is over, and people have put right what is theirs to put right, three runs are enough."""
        site = self.site
        site.onefile.faults.clear()
        site.clocks.passes(timedelta(hours=2))
        for user_id in site.witness.archived_by_hand:
            site.onefile.world.users[user_id].is_archived = False
        site.witness.archived_by_hand.clear()
        site.college.enrol(Who(ASSESSOR, "A1"))
        for who in site.college.people:
            if who.role == LEARNER:
                site.college.enrol(Who(ASSESSOR, site.college.of(who)[0].mended().assessor))
        for who in sorted(site.college.people):
            site.college.mend(who)
        self.retry()
        for _ in range(3):
            self._run(approved=True)
        listed = site.listed()
        assert listed.held == {}, listed.held
        # Of somebody who has left it may stay unknown whether a last change was done; a create never.
        assert not listed.in_doubt & site.college.people, listed.in_doubt
        with site.store.begin() as connection:
            assert changes.in_doubt(connection, ORGANISATION) == 0
        for who in site.college.people:
            (account,) = site.witness.accounts_of(who)
            assert listed.ids[who] == account.id
            assert not account.is_archived
        done = self._run(approved=True)
        assert done is not None
        assert done.calls == 0 or done.left, done
