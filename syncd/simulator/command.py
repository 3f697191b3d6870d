"""``syncd simulate``: runs the simulator until Ctrl+C."""

from pathlib import Path
from typing import Annotated

import typer

from syncd.simulator.faults import Fault, FaultKind, Faults
from syncd.simulator.seed import Seed, SeedRefused
from syncd.simulator.server import Simulator, is_loopback, serve
from syncd.simulator.switches import (
    ArchivedForm,
    DateForm,
    ErrorBody,
    KeychainBody,
    LimiterShape,
    MisidFilter,
    MisidForm,
    NameFilter,
    OverCap,
    Switches,
)

_DEFAULT = Switches()
_UNKNOWNS = "Behaviour of OneFile that is not documented"


def simulate(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to serve on; 0 for any free port.")] = 8021,
    host: Annotated[str, typer.Option(help="The address to serve on; loopback only.")] = "127.0.0.1",
    seed: Annotated[
        Path | None,
        typer.Option(
            help="A JSON file of organisations (with LearnerStatuses), classrooms, placements and users to start with."
        ),
    ] = None,
    keychain: Annotated[
        bool,
        typer.Option(
            "--keychain", help="Organisations create Keychains: a create returns an empty body and sends an e-mail."
        ),
    ] = _DEFAULT.keychain,
    session_seconds: Annotated[
        float, typer.Option(min=0, help="The lifetime of a session.")
    ] = _DEFAULT.session_seconds,
    limiter: Annotated[LimiterShape, typer.Option(help="How calls are counted.")] = _DEFAULT.limiter,
    calls_per_minute: Annotated[int, typer.Option(min=1, help="The rate limit.")] = _DEFAULT.calls_per_minute,
    retry_after: Annotated[
        bool, typer.Option("--retry-after", help="Send Retry-After with a 429.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.retry_after,
    latency: Annotated[float, typer.Option(min=0, help="Seconds to delay every response.")] = 0.0,
    fault_rate: Annotated[
        float, typer.Option(min=0, max=1, help="The probability that a call is refused, answered wrongly or dropped.")
    ] = 0.0,
    fault_seed: Annotated[int, typer.Option(help="The seed of those faults, to repeat them.")] = 0,
    page_cap: Annotated[
        int, typer.Option(min=1, help="The largest page of a search.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.page_cap,
    over_cap: Annotated[
        OverCap, typer.Option(help="How a larger page size is treated.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.over_cap,
    full_rows: Annotated[
        bool, typer.Option("--full-rows", help="Paged searches return all fields.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.full_rows,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Searches return rows in no stable order.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.shuffle,
    misid_filter: Annotated[
        MisidFilter, typer.Option(help="How searches match a MISID.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.misid_filter,
    misid_form: Annotated[
        MisidForm, typer.Option(help="How searches return a MISID of digits.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.misid_form,
    name_filter: Annotated[
        NameFilter, typer.Option(help="How searches match first and last names.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.name_filter,
    search_lag: Annotated[
        float, typer.Option(min=0, help="Seconds until searches find new users.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.search_lag_seconds,
    archived_in_searches: Annotated[
        bool,
        typer.Option(
            "--archived-in-searches", help="Searches by role include archived users.", rich_help_panel=_UNKNOWNS
        ),
    ] = _DEFAULT.archived_in_searches,
    archived_form: Annotated[
        ArchivedForm, typer.Option(help="How an archived account shows when it is read.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.archived_form,
    archived_writable: Annotated[
        bool,
        typer.Option("--archived-writable", help="Accept updates of archived learners.", rich_help_panel=_UNKNOWNS),
    ] = not _DEFAULT.archived_learners_read_only,
    refuse_repeated_archiving: Annotated[
        bool,
        typer.Option(
            "--refuse-repeated-archiving",
            help="Refuse to archive an archived account, or to unarchive an active one.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.refuse_repeated_archiving,
    seats: Annotated[
        int,
        typer.Option(
            min=0,
            help="How many active learners an organisation may have; 0 sets no limit.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.seats,
    refuse_duplicate_misid: Annotated[
        bool,
        typer.Option(
            "--refuse-duplicate-misid", help="Refuse a MISID in use with status 400.", rich_help_panel=_UNKNOWNS
        ),
    ] = _DEFAULT.refuse_duplicate_misid,
    done_status: Annotated[
        int,
        typer.Option(min=200, max=204, help="The status of a successful archive or assign.", rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.done_status,
    learner_in_assign_path: Annotated[
        bool,
        typer.Option(
            "--learner-in-assign-path",
            help="The path of Assign has the learner, not the assignee.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.learner_in_assign_path,
    employer_must_be_assigned: Annotated[
        bool,
        typer.Option(
            "--employer-must-be-assigned",
            help="A default employer must be assigned first.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.employer_must_be_assigned,
    clearing: Annotated[
        bool, typer.Option("--clearing", help='null and "" in an update clear the field.', rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.clearing,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Check ULN, NINO, L codes, e-mail and lengths.", rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.strict,
    error_body: Annotated[
        ErrorBody, typer.Option(help="The form of error bodies.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.error_body,
    keychain_body: Annotated[
        KeychainBody, typer.Option(help="The body of a create's response with Keychain.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.keychain_body,
    date_form: Annotated[
        DateForm, typer.Option(help="The format of dates in responses.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.date_form,
    flags_as_text: Annotated[
        bool,
        typer.Option("--flags-as-text", help='Places return "true" and "false" as text.', rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.flags_as_text,
) -> None:
    """Serve a simulated OneFile on this machine, to try syncd or another client.

    Starts with one organisation, one classroom and one placement unless --seed is given. Keeps everything in memory
    and lists the calls it received under /simulator/journal. Stop it with Ctrl+C.
    """
    if not is_loopback(host):
        raise _refused(f"The simulator serves this machine only: {host} is not a loopback address.")
    switches = Switches(
        page_cap=page_cap,
        over_cap=over_cap,
        full_rows=full_rows,
        shuffle=shuffle,
        archived_in_searches=archived_in_searches,
        archived_form=archived_form,
        archived_learners_read_only=not archived_writable,
        refuse_repeated_archiving=refuse_repeated_archiving,
        seats=seats,
        misid_filter=misid_filter,
        misid_form=misid_form,
        name_filter=name_filter,
        refuse_duplicate_misid=refuse_duplicate_misid,
        limiter=limiter,
        calls_per_minute=calls_per_minute,
        retry_after=retry_after,
        error_body=error_body,
        keychain=keychain,
        keychain_body=keychain_body,
        done_status=done_status,
        learner_in_assign_path=learner_in_assign_path,
        employer_must_be_assigned=employer_must_be_assigned,
        clearing=clearing,
        strict=strict,
        date_form=date_form,
        flags_as_text=flags_as_text,
        search_lag_seconds=search_lag,
        session_seconds=session_seconds,
    )

    def announce(simulator: Simulator) -> None:
        _trouble(simulator.faults, latency, fault_rate, fault_seed)
        typer.echo(f"OneFile is simulated at {simulator.base_url}")
        typer.echo(f"SYNCD_ONEFILE__CUSTOMER_TOKEN={simulator.customer_token}")

    try:
        serve(host, port, switches, None if seed is None else Seed.from_file(seed), announce)
    except SeedRefused as problem:
        raise _refused(f"The seed {seed} cannot be used: {problem}") from None
    except OSError as problem:
        raise _refused(f"Port {port} on {host} cannot be used: {problem.strerror}.") from None


def _trouble(faults: Faults, latency_seconds: float, rate: float, seed: int) -> None:
    if latency_seconds:
        faults.add(Fault(FaultKind.LATENCY, times=None, latency_seconds=latency_seconds))
    faults.at_random(rate, seed)


def _refused(sentence: str) -> typer.Exit:
    typer.echo(sentence, err=True)
    return typer.Exit(1)
