"""What programs may send, and what they are answered."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from syncd.core.run import RunState, Trigger

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


class Exact(BaseModel):
    """Neither more nor less than what is described."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(Exact):
    """Whom a run is to be about, everybody if nobody is named; and of which organisation, all if none is."""

    misids: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    organisation_id: int | None = None


class Problem(Exact):
    """What was wrong, where, and what to do."""

    error: str


class Document(BaseModel):
    """What can be asked here, as OpenAPI describes it."""

    model_config = ConfigDict(extra="allow", strict=True)

    openapi: str


class Alive(Exact):
    """The process lives."""

    alive: Literal[True]


class Ready(Exact):
    """Whether it can work: 200 when all of it holds, else 503."""

    state_reachable: bool
    state_writable: bool
    schema_current: bool
    poll_in_time: bool


class Request(Exact):
    """A request for a run, by its number."""

    request: int


class Taken(Request):
    """The request; of several organisations the first one's, and each by itself."""

    organisations: dict[str, Request] = {}


class Settled(Exact):
    """A stopped run that was approved or rejected, and what it would have done."""

    run: int
    creates: Count
    updates: Count
    leavers: Count


class LastRun(Settled):
    """The newest run: what it planned and did."""

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
    calls: Count
    reason: str


class Waiting(Settled):
    """A run that waits for approval."""

    reason: str


class Progress(Exact):
    """How far the run that is at work has come; planned is 0 while it reads and compares."""

    run: int
    begun: Count
    planned: Count
    seconds_left: Count


class OneStatus(Exact):
    """How one organisation stands."""

    last_run: LastRun | None
    progress: Progress | None
    next_run_at: Moment | None
    awaiting_approval: Waiting | None
    accounts: dict[str, Count]
    leavers: Count
    held: dict[str, Count]
    warnings: Count
    in_doubt: Count
    onefile: Annotated[str, Field(pattern="^(ok|unknown|unreachable since .+)$")]


class Status(OneStatus):
    """How things stand; of several organisations the newest, the sums, and each by itself."""

    organisations: dict[str, OneStatus] = {}
