"""Plans and runs as JSON and as text for people; of fields only the names, never a value."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import typer

from syncd.cli.common import print_table
from syncd.core.fields import Role
from syncd.core.guard import Counts
from syncd.core.plan import Assign, Create, Grant, Leaver, Returner, Update
from syncd.core.records import Held, Warned
from syncd.state.changes import Action
from syncd.state.overview import moment
from syncd.state.runs import RunState
from syncd.sync.one_pass import Done
from syncd.sync.planning import Planned
from syncd.sync.reasons import in_words

_SAMPLE: Final = 5
_MINUTE: Final = 60
_WHAT_DEFAULTS: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}
PAST: Final = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.LINK: "linked",
    Action.ARCHIVE: "archived",
    Action.UNARCHIVE: "unarchived",
    Action.REKEY: "given a new MISID",
    Action.ASSIGN: "assigned",
}


def plans_document(plans: Mapping[int, Planned], calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``; of several organisations one for all, each entry naming its own."""
    documents = {each: _plan_document(planned, calls_per_second) for each, planned in plans.items()}
    if len(documents) == 1:
        return next(iter(documents.values()))
    stopped = [
        f"{each}: {one['guard'].removeprefix('stopped: ')}" for each, one in documents.items() if one["guard"] != "ok"
    ]
    merged: dict[str, Any] = {"guard": f"stopped: {'; '.join(stopped)}" if stopped else "ok"}
    for each, document in documents.items():
        for name, content in document.items():
            if isinstance(content, list):
                merged.setdefault(name, []).extend({"organisation_id": each, **entry} for entry in content)
            elif isinstance(content, int):
                merged[name] = merged.get(name, 0) + content
    return merged


def _plan_document(planned: Planned, calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``."""
    plan = planned.plan
    return {
        "creates": [_change(create) for create in plan.creates],
        "updates": [{**_change(update), "user_id": update.user_id} for update in plan.updates],
        "leavers": [_leaver(leaver) for leaver in plan.leavers],
        "returners": [_returner(returner) for returner in plan.returners],
        "held": [_problem(hold.role, hold.misid, hold) for hold in plan.held],
        "warnings": [_problem(warned.key.role, warned.key.misid, warned) for warned in plan.warnings],
        "assignments": [*map(_grant, plan.grants), *map(_assign, plan.assigns)],
        "unchanged": plan.unchanged,
        "calls": plan.calls,
        "seconds": plan.seconds(calls_per_second),
        "guard": _guard(planned),
    }


def print_plan(planned: Planned, calls_per_second: float) -> None:
    """A plan for people: the counts first, then who, then what is held and why, then what it costs."""
    plan = planned.plan
    counts = (
        (len(plan.creates), "to create"),
        (len(plan.updates), "to update"),
        (len(plan.grants) + len(plan.assigns), "to assign"),
        (len(plan.returners), "returned"),
        (len(plan.leavers), "left"),
        (plan.unchanged, "unchanged"),
        (len(plan.held), "held"),
        (len(plan.warnings), "values left out"),
    )
    typer.echo(", ".join(f"{count} {what}" for count, what in counts if count) or "The MIS has nobody.")
    _print_alike(
        "To create", ((one.key.misid, (one.key.role, _names(one))) for one in plan.creates), ("role", "fields")
    )
    _print_alike(
        "To update", ((one.key.misid, (one.key.role, _names(one))) for one in plan.updates), ("role", "fields")
    )
    assignments = (
        *((one.key.misid, (one.key.role, "the placement")) for one in plan.grants),
        *((one.user.misid, (one.user.role, "a learner")) for one in plan.assigns),
    )
    _print_alike("To assign", assignments, ("role", "to what"))
    _print_alike(
        "Returned", ((one.key.misid, (one.key.role, _return(one))) for one in plan.returners), ("role", "what happens")
    )
    _print_alike(
        "Left", ((one.key.misid, (one.key.role, _leave(one))) for one in plan.leavers), ("role", "what happens")
    )
    _print_alike("Held", ((one.misid, (in_words(one.reason), one.field)) for one in plan.held), ("reason", "field"))
    _print_alike(
        "Left out of what is sent",
        ((one.key.misid, (in_words(one.reason), one.field)) for one in plan.warnings),
        ("reason", "field"),
    )
    for (role, name), count in sorted(plan.defaulted.items()):
        typer.echo(f"\n{_counted_people(count, role)} would use the default {_WHAT_DEFAULTS[name]}.")
    for create in plan.creates:
        if create.was:
            typer.echo(
                f"\n{create.key.misid} was {create.was} and is {create.key.role} now: another role is another account, "
                "and the old one is a leaver's."
            )
    seconds = plan.seconds(calls_per_second)
    how_long = f"{seconds} s" if seconds < 2 * _MINUTE else f"about {round(seconds / _MINUTE)} minutes"
    typer.echo(f"\nChanges to send: {plan.calls}" + (f", which takes {how_long}." if plan.calls else "."))
    if planned.objections:
        typer.echo(f"The guard would stop it: {'; '.join(planned.objections)}.")
        typer.echo("'syncd sync' will wait for 'syncd approve'.")
    else:
        typer.echo("The guard lets it pass.")


def print_done(done: Done) -> None:
    """How a run ended, in a few lines."""
    if done.state is RunState.AWAITING_APPROVAL:
        typer.echo(f"Run {done.run} waits for approval and has sent nothing: {'; '.join(done.objections)}.")
        held = f"; {done.held} records are held, and 'syncd held' says why" if done.held else ""
        typer.echo(f"It would make {counted(done.counts)}{held}.")
        typer.echo("If that is right, see 'syncd plan' and then 'syncd approve'. If it is not, nothing has happened:")
        typer.echo("put the MIS or the query right and run again.")
        return
    sent = [f"{done.applied[action]} {past}" for action, past in PAST.items() if done.applied.get(action)]
    typer.echo(
        f"Run {done.run}: {', '.join(sent) or 'nothing to send'}; {done.unchanged} unchanged; {done.calls} calls."
    )
    trouble = (
        (done.refused, "refused by OneFile"),
        (done.in_doubt, "in doubt, to be settled by the next run"),
        (done.held, "held: 'syncd held' says why"),
        (done.warnings, "values left out: 'syncd held --warnings' says why"),
        (done.left, "gone from the MIS: 'syncd plan' says who, and what becomes of the account"),
    )
    for count, what in trouble:
        if count:
            typer.echo(f"  {count} {what}")
    if done.is_in_step:
        typer.echo("Everybody is in step.")


def counted(counts: Counts) -> str:
    """What the guard has counted, in words."""
    named = ((counts.creates, "create"), (counts.updates, "update"), (counts.leavers, "leaver"))
    words = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in named if count]
    return " and ".join((", ".join(words[:-1]), words[-1]) if len(words) > 1 else words) or "no changes"


def shortly(at: datetime | None) -> str:
    """A moment as people write it, in this machine's time."""
    return f"{at.astimezone():%d %b %Y %H:%M}" if at else ""


def _guard(planned: Planned) -> str:
    return f"stopped: {'; '.join(planned.objections)}" if planned.objections else "ok"


def _change(change: Create | Update) -> dict[str, Any]:
    return {
        "role": change.key.role,
        "misid": change.key.misid,
        "fields": sorted(change.fields.keys() | change.waits_for.keys()),
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {"role": grant.key.role, "misid": grant.key.misid, "learner": None}


def _assign(assign: Assign) -> dict[str, Any]:
    return {"role": assign.user.role, "misid": assign.user.misid, "learner": assign.learner.misid}


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


def _names(change: Create | Update) -> str:
    return ", ".join(name for name in _change(change)["fields"] if name != "MISID")


def _return(returner: Returner) -> str:
    return "unarchived" if returner.is_archived else "nothing to send"


def _counted_people(count: int, role: Role) -> str:
    return f"{count} {role.lower()}{'' if count == 1 else 's'}"


def _leave(leaver: Leaver) -> str:
    return "archived" if leaver.to_archive else "reported, and left as it is"


def _print_alike(title: str, people: Iterable[tuple[str, tuple[str, str]]], headings: tuple[str, str]) -> None:
    """People under a title, those of whom the same is to be said in one row."""
    alike: dict[tuple[str, str], list[str]] = {}
    for misid, said in people:
        alike.setdefault(said, []).append(misid or "(no MISID)")
    if alike:
        typer.echo(f"\n{title}:")
        rows = (
            (len(misids), *said, ", ".join(misids[:_SAMPLE]) + (", …" if len(misids) > _SAMPLE else ""))
            for said, misids in sorted(alike.items(), key=lambda each: -len(each[1]))
        )
        print_table(("how many", *headings, "MISIDs"), rows, "")
