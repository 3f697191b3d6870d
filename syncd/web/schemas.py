"""The request and response bodies of the API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from syncd.core.accounts import Status as AccountStatus
from syncd.core.decisions import Decision as Verdict
from syncd.core.decisions import Part, StepKind
from syncd.core.evidence import Likeness
from syncd.core.fields import Role
from syncd.core.identity import Answer
from syncd.core.records import Reason
from syncd.core.run import Action, Outcome, RunState, Trigger

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Misid = Annotated[str, Field(max_length=255, pattern="^[^\\x00]*$")]


class Exact(BaseModel):
    """A body without undocumented keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(Exact):
    """The MISIDs and the organisation of a requested run; all of them if omitted."""

    misids: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    organisation_id: int | None = None


class Problem(Exact):
    """An error: what is wrong, where, what to do."""

    error: str


class Document(BaseModel):
    """The OpenAPI document of this API."""

    model_config = ConfigDict(extra="allow", strict=True)

    openapi: str


class Alive(Exact):
    """The process is alive."""

    alive: Literal[True]


class Ready(Exact):
    """Whether the daemon is ready: 200 if every check is true, else 503."""

    state_reachable: bool
    state_writable: bool
    schema_current: bool
    poll_in_time: bool


class Request(Exact):
    """A request for a run, by its number."""

    request: int


class Taken(Request):
    """The request; with several organisations, the first one's, and one for each."""

    organisations: dict[str, Request] = {}


class Settled(Exact):
    """A run, with the counts of its changes."""

    run: int
    creates: Count
    updates: Count
    leavers: Count
    archivings: Count


class Decided(Settled):
    """The changes that were approved or rejected, and how many of the run's still wait for a decision."""

    waiting: Count


class Decision(Exact):
    """What is approved, all of it if omitted, and why."""

    only: Literal["creates", "updates", "leavers"] | None = None
    role: Role | None = None
    field: Annotated[str, Field(min_length=1, max_length=50)] | None = None
    reason: Annotated[str, Field(max_length=1000)] = ""


class Rejection(Exact):
    """Why a run is rejected."""

    reason: Annotated[str, Field(max_length=1000)] = ""


class PageQuery(BaseModel):
    """Which part of a list is returned."""

    model_config = ConfigDict(extra="forbid")

    first: Annotated[int, Field(ge=0, lt=2**31)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class PlanQuery(PageQuery):
    """Which steps of a plan are returned; without a filter all of them."""

    only: Part | None = None
    action: StepKind | None = None
    role: Role | None = None
    field: Annotated[str, Field(max_length=50, pattern="^[^\\x00]*$")] = ""
    misid: Misid = ""


class ListQuery(PageQuery):
    """Which part of a list is returned, and of which organisation; of all if it is omitted."""

    organisation_id: int | None = None


class RunQuery(ListQuery):
    """Which runs are returned; quiet adds those that found nothing to send."""

    quiet: bool = False
    state: RunState | None = None
    trigger: Trigger | None = None


class HeldQuery(ListQuery):
    """Which held records are returned, or, with warnings, which values that were left out."""

    reason: Reason | None = None
    role: Role | None = None
    misid: Misid = ""
    warnings: bool = False


class AccountQuery(ListQuery):
    """Which accounts are returned."""

    role: Role | None = None
    status: AccountStatus | None = None
    misid: Misid = ""


class PlannedStep(Exact):
    """A step of a plan, with the names of its fields, and no values."""

    action: StepKind
    role: Role
    misid: str
    other_misid: str | None
    fields: list[str]
    decision: Verdict
    outcome: Outcome | None


class PlanPage(Exact):
    """Some steps of a run's plan in their order, from position first; count is how many there are."""

    run: int
    count: Count
    first: Count
    steps: list[PlannedStep]


class LastRun(Settled):
    """The newest run: its plan and its outcome."""

    trigger: Trigger
    state: RunState
    started_at: Moment
    finished_at: Moment | None
    returners: Count
    held: Count
    warnings: Count
    unchanged: Count
    applied: Count
    refused: Count
    in_doubt: Count
    queued: Count
    calls: Count
    reason: str


class ListedRun(LastRun):
    """A run of a list: who asked for it, who settled it, and how many accounts a verify found to have drifted."""

    organisation_id: int
    asked_by: str
    settled_by: str
    settled_at: Moment | None
    settled_reason: str
    drift: Count | None
    undone_run: int | None


class RunPage(Exact):
    """Some runs, the newest first, from position first; count is how many there are."""

    count: Count
    first: Count
    runs: list[ListedRun]


class RunDetails(ListedRun):
    """A run, how many changes it has sent, by action and outcome, and the run whose stored plan is its own."""

    changes: dict[Action, dict[Outcome, Count]]
    plan_run: int | None


class LikenessOfPeople(Exact):
    """Evidence for or against two records being of one person: names of fields, without values."""

    likeness: Likeness
    equal: list[str]
    differ: list[str]


class HeldRecord(Exact):
    """A record that is held, or a value that was left out, with the reason."""

    organisation_id: int
    role: Role
    misid: str
    reason: Reason
    field: str
    detail: str
    feed: str
    other: str | None
    user_id: int | None
    evidence: LikenessOfPeople | None
    answer: Answer | None
    first_seen_at: Moment


class HeldPage(Exact):
    """Some held records, grouped by reason, from position first; count is how many there are."""

    count: Count
    first: Count
    held: list[HeldRecord]


class Account(Exact):
    """An account: which MISID is which UserID, and when OneFile last accepted a change."""

    organisation_id: int
    role: Role
    misid: str
    user_id: int | None
    status: AccountStatus
    synced_at: Moment


class AccountPage(Exact):
    """Some accounts, by role and MISID, from position first; count is how many there are."""

    count: Count
    first: Count
    accounts: list[Account]


class ChangeOfAccount(Exact):
    """A change that was sent."""

    run: int
    at: Moment
    misid: str
    user_id: int | None
    action: Action
    fields: list[str]
    outcome: Outcome
    attempts: Count
    http_status: int | None
    detail: str


class AccountDetails(Exact):
    """A record: its account if it has one, why it is held, and the changes sent for it, from position first."""

    account: Account | None
    feed: str
    created_at: Moment | None
    left_at: Moment | None
    held: list[HeldRecord]
    warnings: list[HeldRecord]
    count: Count
    first: Count
    history: list[ChangeOfAccount]


class Waiting(Settled):
    """A run that waits for approval."""

    reason: str


class Progress(Exact):
    """The progress of the run in progress; planned is 0 while it reads and compares."""

    run: int
    begun: Count
    planned: Count
    seconds_left: Count


class Suspended(Exact):
    """An action that OneFile refuses again and again, and how many such changes are queued."""

    role: Role
    action: Action
    reason: str
    since: Moment
    queued: Count


class OneStatus(Exact):
    """The status of one organisation."""

    last_run: LastRun | None
    progress: Progress | None
    next_run_at: Moment | None
    awaiting_approval: Waiting | None
    accounts: dict[str, Count]
    leavers: Count
    held: dict[str, Count]
    warnings: Count
    in_doubt: Count
    drift: Count | None
    as_of: Moment | None
    suspended: list[Suspended]
    onefile: Annotated[str, Field(pattern="^(ok|unknown|unreachable since .+)$")]


class Status(OneStatus):
    """The status; with several organisations, the newest run, the totals, and one for each."""

    organisations: dict[str, OneStatus] = {}
