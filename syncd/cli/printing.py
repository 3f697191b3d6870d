"""Plans and runs as JSON and as text for people; of fields only the names, never a value."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import typer
from rich.markup import escape

from syncd.cli.common import console, print_table
from syncd.core.plan import Create, Leaver, Returner, Update
from syncd.core.records import Held, Warned
from syncd.state.overview import moment
from syncd.state.runs import RunState
from syncd.sync.one_pass import Done
from syncd.sync.planning import Planned

_SAMPLE: Final = 10
_MINUTE: Final = 60


def plan_document(planned: Planned, calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``."""
    plan = planned.plan
    return {
        "creates": [_change(create) for create in plan.creates],
        "updates": [{**_change(update), "user_id": update.user_id} for update in plan.updates],
        "leavers": [_leaver(leaver) for leaver in plan.leavers],
        "returners": [_returner(returner) for returner in plan.returners],
        "held": [_problem(hold.role, hold.misid, hold) for hold in plan.held],
        "warnings": [_problem(warned.key.role, warned.key.misid, warned) for warned in plan.warnings],
        "unchanged": plan.unchanged,
        "calls": plan.calls,
        "seconds": plan.seconds(calls_per_second),
        "guard": _guard(planned),
    }


def print_plan(planned: Planned, calls_per_second: float) -> None:
    """A plan for people: the counts first, then samples, then what is held and why, then what it costs."""
    plan = planned.plan
    out = console()
    out.print(
        f"[bold]{len(plan.creates)}[/bold] to create, [bold]{len(plan.updates)}[/bold] to update, "
        f"{len(plan.returners)} returned, {len(plan.leavers)} left, {plan.unchanged} unchanged, "
        f"[bold]{len(plan.held)}[/bold] held, {len(plan.warnings)} warnings",
        highlight=False,
    )
    _print_changes("To create", plan.creates)
    _print_changes("To update", plan.updates)
    _print_problems("Held", plan.held)
    _print_problems("Left out of what is sent", plan.warnings)
    seconds = plan.seconds(calls_per_second)
    how_long = f"{seconds} s" if seconds < 2 * _MINUTE else f"about {round(seconds / _MINUTE)} minutes"
    out.print(f"\nCalls to send it: {plan.calls}, {how_long}.", highlight=False)
    if planned.objections:
        out.print(f"[bold]The guard would stop it:[/bold] {escape('; '.join(planned.objections))}.", highlight=False)
        out.print("'syncd sync' will wait for 'syncd approve'.", highlight=False)
    else:
        out.print("The guard lets it pass.", highlight=False)


def print_done(done: Done) -> None:
    """One or two lines on how a run ended."""
    counts = done.counts
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(
            f"Run {done.run} waits for approval and has sent nothing: {'; '.join(done.objections)}.\n"
            f"It would make {counts.creates} creates and {counts.updates} updates; {counts.leavers} have left. "
            "See 'syncd plan', then 'syncd approve' or 'syncd reject'."
        )
        return
    trouble = [
        f"{number} {what}"
        for number, what in (
            (done.refused, "refused"),
            (done.in_doubt, "in doubt, to be settled by the next run"),
            (done.held, "held ('syncd held' says why)"),
        )
        if number
    ]
    typer.echo(
        f"Run {done.run}: {done.applied} changes sent, {done.unchanged} unchanged, {done.calls} calls. "
        + (f"{', '.join(trouble)}." if trouble else "Everybody is in step.")
    )


def _guard(planned: Planned) -> str:
    return f"stopped: {'; '.join(planned.objections)}" if planned.objections else "ok"


def _change(change: Create | Update) -> dict[str, Any]:
    return {
        "role": change.key.role,
        "misid": change.key.misid,
        "fields": sorted(change.fields.keys() | change.waits_for.keys()),
    }


def _leaver(leaver: Leaver) -> dict[str, Any]:
    return {
        "role": leaver.key.role,
        "misid": leaver.key.misid,
        "user_id": leaver.user_id,
        "left_at": moment(leaver.left_at),
        "to_archive": leaver.to_archive,
    }


def _returner(returner: Returner) -> dict[str, Any]:
    return {
        "role": returner.key.role,
        "misid": returner.key.misid,
        "user_id": returner.user_id,
        "to_unarchive": returner.is_archived,
    }


def _problem(role: str, misid: str, problem: Held | Warned) -> dict[str, Any]:
    return {"role": role, "misid": misid, "reason": problem.reason, "field": problem.field}


def _print_changes(title: str, changes: Iterable[Create | Update]) -> None:
    changes = list(changes)
    if changes:
        more = f", the first {_SAMPLE} of {len(changes)}" if len(changes) > _SAMPLE else ""
        typer.echo(f"\n{title}{more}:")
        rows = ((one.key.role, one.key.misid, ", ".join(_change(one)["fields"])) for one in changes[:_SAMPLE])
        print_table(("role", "MISID", "fields"), rows, "")


def _print_problems(title: str, problems: Iterable[Held | Warned]) -> None:
    problems = list(problems)
    if problems:
        typer.echo(f"\n{title}:")
        counted = Counter((problem.reason, problem.field) for problem in problems)
        examples: dict[tuple[str, str], list[str]] = {}
        for problem in problems:
            misid = problem.misid if isinstance(problem, Held) else problem.key.misid
            examples.setdefault((problem.reason, problem.field), []).append(misid or "(no MISID)")
        rows = (
            (count, reason, field, ", ".join(examples[reason, field][:3]) + (", …" if count > 3 else ""))
            for (reason, field), count in counted.most_common()
        )
        print_table(("how many", "reason", "field", "MISIDs"), rows, "")
