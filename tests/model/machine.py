"""A college's year in random steps, with syncd's promises checked after each."""

from collections import Counter
from collections.abc import Callable, Mapping
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
from syncd.core.decisions import Decision, Part
from syncd.core.identity import Answer
from syncd.core.records import Reason
from syncd.core.run import RunState
from syncd.core.scope import EVERYONE, Scope
from syncd.errors import NothingToSettle, SyncdError
from syncd.operations.decisions import DecisionRow, decide
from syncd.simulator import ArchivedForm, Fault, FaultKind, LimiterShape, MisidFilter, Switches
from syncd.simulator.faults import NOTICEABLE
from syncd.state import approvals, changes, held_records, plan_steps, runs
from syncd.state.db.tables import approval, run
from syncd.state.held_records import HeldEntry, Selection
from syncd.state.plan_steps import StepFilter
from syncd.state.session import StateSession
from syncd.sync.context import Policy
from syncd.sync.run import RunResult
from tests.support.guard import FixedLimits
from tests.support.sessions import session_on

from .college import ASSESSOR, ASSESSORS, LEARNER, LEARNERS, ROLES, Who
from .mortality import Killed, Moment
from .site import ORGANISATION, FreshStore, Listed, Site
from .witness import Did

FLOOR: Final = 2
SETTLE: Final = timedelta(seconds=60)

learners = st.sampled_from([Who(LEARNER, misid) for misid in LEARNERS])
people = learners | st.sampled_from([Who(ASSESSOR, misid) for misid in ASSESSORS])
#: Two MISIDs of one role.
pairs = st.tuples(learners, learners) | st.tuples(*[st.sampled_from([Who(ASSESSOR, misid) for misid in ASSESSORS])] * 2)
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
    *(kind for kind in NOTICEABLE if kind is not FaultKind.LATENCY),
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
    st.tuples(st.just("reuse"), people),
    st.tuples(st.sampled_from(["rekey", "next", "next beside", "again"]), pairs),
)
_QUESTIONS: Final = {"rekeyed?", "lookalike_key", "another_person?", "has_an_account?"}
deaths = st.tuples(st.sampled_from(Moment), st.integers(1, 15))
_STAFF_COLUMNS: Final = {"surname", "phone", "email"}


@dataclass(slots=True)
class Approved:
    """The steps that approvals permit, each by its part of the plan and the person, and until when."""

    steps: set[tuple[str, Who]]
    until: datetime

    def covers(self, part: str, who: Who) -> bool:
        # An update may complete a create whose answer was lost; an archiving is of the leavers' part.
        others = {"updates": "creates", "archivings": "leavers"}
        return (part, who) in self.steps or (others.get(part), who) in self.steps


class Promises(RuleBasedStateMachine):
    """The MIS changes, OneFile fails, processes die, clocks jump, people meddle; syncd keeps its word."""

    fresh_store: ClassVar[FreshStore]
    in_flight: ClassVar[int] = 1
    tally: ClassVar[Counter[str]] = Counter()
    """What has happened in all years together, to see that it is not always the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp(prefix="syncd-model-"))
        self.approved: Approved | None = None
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
                "archived_form": st.sampled_from(ArchivedForm),
                "archived_learners_read_only": st.booleans(),
                "refuse_repeated_archiving": st.booleans(),
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
            # No lag is longer than this.
            Policy(
                limits=FixedLimits(FLOOR),
                settle=SETTLE,
                longest_search_lag=timedelta(),
                max_in_flight=self.in_flight,
                **policy,
            ),
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
        if done is None or done.state is not RunState.FINISHED or done.refused or self.site.listed().in_doubt:
            return
        if any(deed.who.misid.startswith("released-") for deed in self.site.witness.deeds):
            # The new owner of a MISID gets an account once the old one has left it.
            return
        moved = self.site.witness.moved()
        self._run()
        # What OneFile will not archive is asked again, for one day it will. Who was found to be archived is brought
        # back, and then told what was refused. Who has got another MISID is told the rest of the record.
        expected = self.site.witness.done(Did.UNARCHIVE) | moved
        writes = [call.path for call in self.site.onefile.journal.writes if not call.path.endswith("rchive")]
        told = [path for path in writes if path not in {f"/User/{user_id}" for user_id in expected}]
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
            names = [row.human.forename for row in self.site.college.of(who)] or ["Hand"]
            fields = {"MISID": who.misid, "FirstName": names[0], "LastName": "Made", "Email": "hand@example.org"}
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

    @rule(is_yes=st.sampled_from([True, True, False]), part=st.sampled_from(["", "", *Part]))
    def settle_what_waits(self, is_yes: bool, part: str) -> None:
        now = self.site.clocks()
        with suppress(NothingToSettle), self.site.store.begin() as connection:
            session = session_on(connection, ORGANISATION, now)
            if is_yes:
                settled = approvals.approve(session, None, "a test", StepFilter(part=part))
                self.approved = Approved(_approved_steps(session, settled.run.id), now + timedelta(hours=24))
            else:
                settled = approvals.reject(session, None, "somebody")
                steps = _approved_steps(session, settled.run.id)
                self.approved = Approved(steps, self.approved.until) if self.approved else None
            self.tally[f"{'approve' if is_yes else 'reject'}"] += 1

    @rule()
    def retry(self) -> None:
        with self.site.store.begin() as connection:
            session = session_on(connection, ORGANISATION, self.site.clocks())
            for reason in (Reason.REFUSED, Reason.REJECTED):
                held_records.retry(session, Selection(reason=reason))

    @rule()
    def answer_questions(self) -> None:
        """An operator who knows the people says who is who."""
        ids = self.site.listed().ids
        with self.site.store.begin() as connection:
            session = session_on(connection, ORGANISATION, self.site.clocks())
            rows = [
                DecisionRow(entry.role, entry.misid, entry.reason, answer, "a test", entry.other, entry.user_id)
                for entry in held_records.listing(session)
                for answer in sorted({self._truth(entry, ids), Answer.NEW} & set(entry.answers), reverse=True)[:1]
                if entry.reason in _QUESTIONS
            ]
            decide(session, rows)
        self.tally.update(f"answer {row.answer} to {row.reason}" for row in rows)

    def _truth(self, entry: HeldEntry, ids: Mapping[Who, int | None]) -> Answer:
        role = next(number for number, name in ROLES.items() if name == entry.role)
        user_id = entry.user_id or ids.get(Who(role, entry.other))
        account = self.site.onefile.world.users.get(user_id or 0)
        rows = self.site.college.of(Who(role, entry.misid))
        is_same = account is not None and rows and account.values["FirstName"] == rows[0].human.forename
        return Answer.SAME if is_same else Answer.NEW

    def _edit(self, edited: list[tuple[Any, ...]]) -> None:
        college = self.site.college
        change: dict[str, Callable[..., None]] = {
            "enrol": college.enrol,
            "withdraw": college.withdraw,
            "double": college.double,
            "mend": college.mend,
            "reuse": college.reuse,
            "rekey": lambda pair: college.rekey(*pair),
            "next": lambda pair: college.next_programme(*pair, remains=False),
            "next beside": lambda pair: college.next_programme(*pair, remains=True),
            "again": lambda pair: college.join_again(*pair),
        }
        for what, whose, *columns_ in edited:
            if what in change:
                change[what](whose)
                continue
            ((name, value),) = columns_
            if whose.role == LEARNER or name in _STAFF_COLUMNS:
                college.edit(whose, **{name: value})

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
        self.site.witness.check_people(self.site.college.accounts_due_to)
        self.site.witness.check_calls(was_cut_short=done is None)
        self.site.clocks.check_waits()
        self._check_bounds(before, listed, done, approved=approved, is_full=scope.is_everyone)
        if done is not None and done.state is RunState.FINISHED:
            waiting = self._in_the_waiting_plan() if done.waiting else set()
            for who in self.site.college.people - waiting:
                if who.misid in scope:
                    self._check_in_step(who, listed)
        # Nobody starts the next one in the same moment.
        self.site.clocks.passes(timedelta(seconds=5))

    def _check_bounds(
        self, before: Listed | None, after: Listed, done: RunResult | None, *, approved: bool, is_full: bool
    ) -> None:
        """P4: no more than the guard or an approval lets through."""
        gone = {who for who in after.ids if not self.site.college.of(who)}
        left = {who for who in gone if after.statuses[who] != "active"}
        statuses = before.statuses if before else {}
        newly = {who for who in left if statuses.get(who, "active") == "active"}
        newly = {who for who in newly if not who.misid.startswith("released-")}
        self.missed_at = {who: self.missed_at.get(who, self.site.clocks()) for who in left}
        self._check_archived(gone)
        witness = self.site.witness
        people = {
            "creates": [deed.who for deed in witness.deeds if deed.did is Did.CREATE],
            "updates": [deed.who for deed in witness.deeds if deed.did in {Did.UPDATE, Did.UNARCHIVE}],
            "leavers": list(newly),
            "archivings": [deed.who for deed in witness.deeds if deed.did is Did.ARCHIVE],
        }
        if approved and done is None:
            # What was approved beforehand and then cut short is for the next run to finish.
            self.approved = self._approval_of_the_newest_run() or self.approved
        elif approved:
            self.approved = None
            return
        granted = self.approved
        if granted is not None and self.site.clocks() > granted.until + timedelta(minutes=10):
            granted = None
        is_stopped = done is not None and done.state is RunState.AWAITING_APPROVAL
        for part, changed in people.items():
            others = {who for who in changed if granted is None or not granted.covers(part, who)}
            allowed = 0 if is_stopped else FLOOR
            if not (approved and done is None):
                assert len(others) <= allowed, f"{others} of {part} where {allowed} are allowed, and nobody approved it"
        if done is not None and done.state is RunState.FINISHED and is_full:
            self.approved = None

    def _in_the_waiting_plan(self) -> set[Who]:
        """Of whom a step waits for a decision, or for a step that does."""
        with self.site.store.begin() as connection:
            session = session_on(connection, ORGANISATION)
            waiting = runs.waiting(session)
            assert waiting is not None, "changes wait, and no run does"
            numbers = {name: role for role, name in ROLES.items()}
            return {Who(numbers[step.role], step.misid) for step in plan_steps.each_step(session, waiting.id)}

    def _approval_of_the_newest_run(self) -> Approved | None:
        newest = select(approval).where(approval.c.run_id == select(func.max(run.c.id)).scalar_subquery())
        with self.site.store.begin() as connection:
            row = connection.execute(newest).one_or_none()
            if row is None:
                return None
            return Approved(_approved_steps(session_on(connection, ORGANISATION), row.run_id), row.expires_at)

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
        if held & _QUESTIONS:
            is_by_hand = any(
                account.id in self.site.witness.by_hand for account in self.site.onefile.world.users.values()
            )
            assert self.site.college.may_be_asked_about(who) or is_by_hand, f"{who} is held as {held}"
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
        if account.id in self.site.witness.moved():
            # The next run compares the rest of a record whose account has just got its MISID.
            return
        (row,) = self.site.college.of(who)
        shown = {name: account.values.get(name) for name in row.values}
        assert shown == row.values, f"{who} is out of step"
        if who.role == LEARNER:
            assessor = self.site.onefile.world.users[account.values["DefaultAssessorID"]]
            taught_by = Who(ASSESSOR, row.assessor)
            # Once an assessor's MISID has a new owner, the next run creates the new assessor and tells the learners.
            is_changing = taught_by not in listed.ids or taught_by in listed.held
            assert assessor.misid == row.assessor or is_changing, f"{who} has another assessor"
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
        for _ in range(6):
            self.answer_questions()
            self.retry()
            self._run(approved=True)
        listed = site.listed()
        assert listed.held == {}, listed.held
        # Of somebody who has left it may stay unknown whether a last change was done; a create never.
        assert not listed.in_doubt & site.college.people, listed.in_doubt
        with site.store.begin() as connection:
            assert changes.in_doubt(session_on(connection, ORGANISATION)) == 0
        for who in site.college.people:
            (account,) = site.witness.accounts_of(who)
            assert listed.ids[who] == account.id
            assert account.values["FirstName"] == site.college.of(who)[0].human.forename
            assert not account.is_archived
        done = self._run(approved=True)
        assert done is not None
        assert done.calls == 0 or done.left, done


def _approved_steps(session: StateSession, number: int) -> set[tuple[str, Who]]:
    """The approved steps of a run's plan, with both MISIDs where there are two."""
    numbers = {name: role for role, name in ROLES.items()}
    return {
        (part.value, Who(numbers[step.role], misid))
        for step in plan_steps.each_step(session, number)
        for part in Part
        for misid in (step.misid, step.other)
        if step.decision is Decision.APPROVED and step.kind in part.kinds and misid
    }
