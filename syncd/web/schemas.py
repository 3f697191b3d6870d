"""The requests and responses of the API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from syncd.core.run import RunState, Trigger

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


class Exact(BaseModel):
    """A model without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(Exact):
    """The records that a run is limited to, all if none is named; and their organisation, all if none is named."""

    misids: list[Annotated[str, Field(min_length=1, max_length=255)]] = []
    organisation_id: int | None = None


class Problem(Exact):
    """What is wrong, where, and what to do."""

    error: str


class Document(BaseModel):
    """This API, as OpenAPI describes it."""

    model_config = ConfigDict(extra="allow", strict=True)

    openapi: str


class Alive(Exact):
    """The process is alive."""

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
    """The request; with several organisations that of the first, and each one by itself."""

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
    """The progress of the run in progress; planned is 0 while it reads and compares."""

    run: int
    begun: Count
    planned: Count
    seconds_left: Count


class OneStatus(Exact):
    """The state of one organisation."""

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
    """The state; with several organisations the newest run, the totals, and each one by itself."""

    organisations: dict[str, OneStatus] = {}
