"""``syncd simulate``: the simulator for people, until Ctrl+C."""

from pathlib import Path
from typing import Annotated

import typer

from syncd.simulator.faults import Fault, FaultKind, Faults
from syncd.simulator.seed import Seed, SeedRefused
from syncd.simulator.server import Simulator, is_loopback, serve
from syncd.simulator.switches import (
    DateForm,
    ErrorBody,
    KeychainBody,
    LimiterShape,
    MisidFilter,
    OverCap,
    Switches,
)

_DEFAULT = Switches()
_UNKNOWNS = "What nobody knows of OneFile"


def simulate(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to serve on; 0 takes any that is free.")] = 8021,
    host: Annotated[str, typer.Option(help="Address to serve on; loopback only.")] = "127.0.0.1",
    seed: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with organisations (with LearnerStatuses), classrooms, placements and users to start with."
        ),
    ] = None,
    keychain: Annotated[
        bool,
        typer.Option("--keychain", help="Organisations create Keychains: a create answers nothing and e-mails."),
    ] = _DEFAULT.keychain,
    session_seconds: Annotated[float, typer.Option(min=0, help="How long a session lives.")] = _DEFAULT.session_seconds,
    limiter: Annotated[LimiterShape, typer.Option(help="How calls are counted.")] = _DEFAULT.limiter,
    calls_per_minute: Annotated[int, typer.Option(min=1, help="The limit.")] = _DEFAULT.calls_per_minute,
    retry_after: Annotated[
        bool, typer.Option("--retry-after", help="Say in a 429 how many seconds to wait.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.retry_after,
    latency: Annotated[float, typer.Option(min=0, help="Seconds that every call takes longer.")] = 0.0,
    fault_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Chance of a call to be refused, answered wrongly, or dropped.")
    ] = 0.0,
    fault_seed: Annotated[int, typer.Option(help="Makes that chance repeatable.")] = 0,
    page_cap: Annotated[
        int, typer.Option(min=1, help="Largest page a search gives.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.page_cap,
    over_cap: Annotated[
        OverCap, typer.Option(help="What becomes of larger ones.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.over_cap,
    full_rows: Annotated[
        bool, typer.Option("--full-rows", help="Paged searches give all fields.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.full_rows,
    shuffle: Annotated[
        bool, typer.Option("--shuffle", help="Searches give rows in no stable order.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.shuffle,
    misid_filter: Annotated[
        MisidFilter, typer.Option(help="How searches take MISID.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.misid_filter,
    search_lag: Annotated[
        float, typer.Option(min=0, help="Seconds until searches find what is new.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.search_lag_seconds,
    archived_in_searches: Annotated[
        bool,
        typer.Option("--archived-in-searches", help="Searches by role find archived users.", rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.archived_in_searches,
    refuse_duplicate_misid: Annotated[
        bool, typer.Option("--refuse-duplicate-misid", help="A MISID in use is 400.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.refuse_duplicate_misid,
    done_status: Annotated[
        int,
        typer.Option(min=200, max=204, help="Status of a done archive or assign.", rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.done_status,
    learner_in_assign_path: Annotated[
        bool,
        typer.Option(
            "--learner-in-assign-path",
            help="Assign has the learner in its path, not the assignee.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.learner_in_assign_path,
    employer_must_be_assigned: Annotated[
        bool,
        typer.Option(
            "--employer-must-be-assigned",
            help="A default employer must have been assigned before.",
            rich_help_panel=_UNKNOWNS,
        ),
    ] = _DEFAULT.employer_must_be_assigned,
    clearing: Annotated[
        bool, typer.Option("--clearing", help='null and "" in an update clear.', rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.clearing,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Check ULN, NINO, L codes, e-mail and lengths.", rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.strict,
    error_body: Annotated[
        ErrorBody, typer.Option(help="How errors are worded.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.error_body,
    keychain_body: Annotated[
        KeychainBody, typer.Option(help="Body of a create under Keychain.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.keychain_body,
    date_form: Annotated[
        DateForm, typer.Option(help="How answers write dates.", rich_help_panel=_UNKNOWNS)
    ] = _DEFAULT.date_form,
    flags_as_text: Annotated[
        bool,
        typer.Option("--flags-as-text", help='Places have "true" and "false" as texts.', rich_help_panel=_UNKNOWNS),
    ] = _DEFAULT.flags_as_text,
) -> None:
    """Serve a simulated OneFile on this machine, to try syncd or any other client on.

    It starts with one organisation, one classroom and one placement, unless a seed says otherwise, keeps
    everything in memory, and shows what it was asked under /simulator/journal. Stop it with Ctrl+C.
    """
    if not is_loopback(host):
        raise _refused(f"The simulator serves this machine only: {host} is not a loopback address.")
    switches = Switches(
        page_cap=page_cap,
        over_cap=over_cap,
        full_rows=full_rows,
        shuffle=shuffle,
        archived_in_searches=archived_in_searches,
        misid_filter=misid_filter,
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
