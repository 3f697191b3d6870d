"""The request and response bodies of the API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from syncd.core.run import RunState, Trigger

Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]


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
    """A stopped run that was approved or rejected, with its counts."""

    run: int
    creates: Count
    updates: Count
    leavers: Count


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
    onefile: Annotated[str, Field(pattern="^(ok|unknown|unreachable since .+)$")]


class Status(OneStatus):
    """The status; with several organisations, the newest run, the totals, and one for each."""

    organisations: dict[str, OneStatus] = {}
