"""The command plan: what a run would do, as text, as JSON, and as a page to sign off."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer

from syncd.cli.context import head, stopped_by_signals
from syncd.cli.options import (
    ConfigOption,
    JsonOption,
    MisidOption,
    OrganisationOption,
    organisations_of,
    set_up_logs,
    settings_of,
    whoami,
)
from syncd.cli.output.html import Cells, Section, print_section, refuse_existing, write_page
from syncd.cli.output.json import print_json_object
from syncd.cli.program import app
from syncd.core.plan import Assign, Create, Grant, Leaver, Plan, Returner, Update
from syncd.core.plan_sample import spread
from syncd.core.rate import humanise_duration
from syncd.core.records import Held, Reason, Warned
from syncd.core.scope import EVERYONE, Scope
from syncd.core.text import plural
from syncd.core.values import Sent
from syncd.settings import Settings
from syncd.state import accounts
from syncd.state.db.store import Store
from syncd.state.session import writing_session
from syncd.state.views.documents import moment
from syncd.sync.planner import GuardedPlan, make_plan
from syncd.sync.reasons import HELD, LEFT_OUT, Advice, describe
from syncd.wiring.clock import now
from syncd.wiring.context import open_context
from syncd.wiring.store import open_store_to_read

#: The number of MISIDs shown of each group, on a terminal and on a page, and the number of groups.
_NAMED: Final = 5
_NAMED_ON_A_PAGE: Final = 20
_GROUPS: Final = 10
_WHAT_DEFAULTS: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}

_Change: TypeAlias = Create | Update


@app.command(rich_help_panel="Running")
def plan(
    *,
    json: JsonOption = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page to sign off. FILE must not exist yet."),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="With --html: include the personal values of a sample.")
    ] = False,
    misid: MisidOption = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what a run would do. Changes nothing.

    Reads the MIS, compares it with the values OneFile last accepted, and asks OneFile only for what the plan needs.
    Shows MISIDs and field names, no values.

    Exit codes: 0 done; 1 the MIS, OneFile or the configuration cannot be used.
    """
    if json and html:
        raise typer.BadParameter("cannot be combined with --json", param_hint="--html")
    if values and not html:
        raise typer.BadParameter("requires --html FILE", param_hint="--values")
    if html:
        refuse_existing(html)
    settings = settings_of(config)
    organisations = organisations_of(settings, organisation)
    log = set_up_logs(settings, is_watched=True)
    store = open_store_to_read(settings)
    with stopped_by_signals() as stopping, open_context(settings, store, log, stopping) as context:
        plans = {
            each: make_plan(context.for_organisation(each), Scope.of(misid) if misid else EVERYONE)
            for each in organisations
        }
        per_second = context.onefile.rate_limiter.calls_per_second
    if json:
        print_json_object(_plans_document(plans, per_second))
        return
    shown = [
        Shown(each, planned, per_second, settings.onefile.calls_per_minute, misid or ())
        for each, planned in plans.items()
    ]
    if html:
        _write(html, settings, shown, store if values else None)
        typer.echo(f"The plan is in {html}.")
        return
    for one in shown:
        head(one.organisation_id, organisations)
        print_plan(one)


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that is shown to the operator."""

    organisation_id: int
    planned: GuardedPlan
    calls_per_second: float
    calls_per_minute: int
    only: Sequence[str] = ()
    """The MISIDs that it is limited to; empty if it is not limited."""

    @property
    def counts(self) -> str:
        """The number of records by step; a sentence if there are none."""
        plan = self.planned.plan
        counts = (
            (len(plan.creates), "to create"),
            (len(plan.updates), "to update"),
            (len(plan.rekeys), "to give a new MISID"),
            (len(plan.grants) + len(plan.assigns), "to assign"),
            (len(plan.returners), "returned"),
            (len(plan.leavers), "left"),
            (plan.unchanged, "unchanged"),
            (len(plan.held), "held"),
            (len(plan.warnings), "values left out"),
        )
        if said := ", ".join(f"{count} {what}" for count, what in counts if count):
            return said
        if self.only:
            return f"No feed has {' or '.join(self.only)}. 'syncd explain MISID' lists MISIDs that resemble it."
        return "The feeds have no records."

    @property
    def cost(self) -> str:
        """How many calls it takes, and how long."""
        plan = self.planned.plan
        if not plan.calls:
            return "Changes to send: 0."
        how_long = humanise_duration(plan.seconds(self.calls_per_second))
        return f"Changes to send: {plan.calls}, each a call; at {self.calls_per_minute} a minute that takes {how_long}."

    @property
    def guard(self) -> Sequence[str]:
        """Whether the guard would stop the plan, and what follows."""
        if not self.planned.objections:
            return ["The guard would not stop it."]
        return [
            f"The guard would stop it: {'; '.join(self.planned.objections)}.",
            "'syncd sync' would then wait for 'syncd approve'.",
        ]

    @property
    def remarks(self) -> Iterator[str]:
        """Facts that are easily overlooked."""
        plan = self.planned.plan
        for (role, name), count in sorted(plan.defaulted.items()):
            yield f"{plural(count, role.lower())} would use the default {_WHAT_DEFAULTS[name]}."
        for create in plan.creates:
            if create.former_role:
                yield (
                    f"{create.key.misid} was {create.former_role} and is now {create.key.role}: a different role needs "
                    "a new account; the old one is treated as a leaver."
                )

    def sections(self, named: int) -> Iterator[Section]:
        """The records by step; ``named`` is the number of MISIDs shown of each group."""
        plan = self.planned.plan
        creates = ((one.key.misid, (one.key.role,)) for one in plan.creates)
        yield _alike("To create", creates, ("role",), named, _fields_of(plan.creates))
        updates = ((one.key.misid, (one.key.role, _names(one))) for one in plan.updates)
        yield _alike("To update", updates, ("role", "fields"), named)
        rekeys = ((one.key.misid, (one.key.role,)) for one in plan.rekeys)
        yield _alike("To give a new MISID", rekeys, ("role",), named)
        assignments = (
            *((one.key.misid, (one.key.role, "the placement")) for one in plan.grants),
            *((one.user.misid, (one.user.role, "a learner")) for one in plan.assigns),
        )
        yield _alike("To assign", assignments, ("role", "to what"), named)
        returners = ((one.key.misid, (one.key.role, _return(one))) for one in plan.returners)
        yield _alike("Returned", returners, ("role", "what happens"), named)
        leavers = ((one.key.misid, (one.key.role, _leave(one))) for one in plan.leavers)
        yield _alike("Left", leavers, ("role", "what happens"), named)
        held = ((one.misid, (describe(one.reason), one.field)) for one in plan.held)
        yield _alike("Held", held, ("reason", "field"), named, notes=_advice(plan.held, HELD))
        left_out = ((one.key.misid, (describe(one.reason), one.field)) for one in plan.warnings)
        notes = _advice(plan.warnings, LEFT_OUT)
        yield _alike("Left out of what is sent", left_out, ("reason", "field"), named, notes=notes)


def print_plan(shown: Shown) -> None:
    """Print the plan: the counts, the records, what is held and why, and the number of calls."""
    typer.echo(shown.counts)
    for section in shown.sections(_NAMED):
        if section.rows:
            print_section(section)
    for remark in shown.remarks:
        typer.echo(f"\n{remark}")
    typer.echo(f"\n{shown.cost}")
    for sentence in shown.guard:
        typer.echo(sentence)


def _write(file: Path, settings: Settings, plans: Sequence[Shown], store: Store | None) -> None:
    """Write the page; with a store, it shows the values of a sample, and those that OneFile has now."""
    onefile = settings.onefile
    where = onefile.environment or onefile.url
    which = ", ".join(str(shown.organisation_id) for shown in plans)
    title = f"syncd, organisation{'s' * (len(plans) > 1)} {which} on {where}: what a run would do"
    made = f"As of {now().astimezone():%d %b %Y %H:%M %Z}, made for {whoami()}; nothing was changed. "
    made += "It contains personal values: handle it as confidential." if store else "It contains no personal values."
    write_page(
        file,
        title,
        made,
        [sentence for shown in plans for sentence in _summary(shown, several=len(plans) > 1)],
        [section for shown in plans for section in _sections(shown, store, several=len(plans) > 1)],
        to_sign=(
            "I have read this plan and agree to it. Changes made in the MIS after the plan are not on it; an approval "
            "in syncd covers at most as many changes as the stopped run has."
        ),
    )


def _summary(shown: Shown, *, several: bool) -> Iterator[str]:
    whose = f"Organisation {shown.organisation_id}: " * several
    yield f"{whose}{shown.counts}{'' if shown.counts.endswith('.') else '.'}"
    yield shown.cost
    yield " ".join(shown.guard)
    yield from shown.remarks


def _sections(shown: Shown, store: Store | None, *, several: bool) -> Iterator[Section]:
    whose = f"Organisation {shown.organisation_id}: " * several
    for section in shown.sections(_NAMED_ON_A_PAGE):
        if section.rows:
            yield _titled(section, whose)
    if store is not None:
        for section in _with_values(shown.planned.plan, store):
            yield _titled(section, whose)


def _titled(section: Section, whose: str) -> Section:
    rows, notes = section.rows, section.notes
    return Section(f"{whose}{section.title}", section.headings, rows, section.none, section.said, notes)


def _with_values(plan: Plan, store: Store) -> Iterator[Section]:
    """A sample of the creates and updates, with the values to send and those that OneFile has now."""
    for title, changes in (("To create", plan.creates), ("To update", plan.updates)):
        some: Sequence[_Change] = spread(changes, len(changes), _NAMED_ON_A_PAGE)
        if not some:
            continue
        with writing_session(store, some[0].key.organisation_id, now) as session:
            before = accounts.values(session, [change.key for change in some])
        yield Section(
            f"{title}: {len(some)} of {len(changes)} with their values",
            ("MISID", "role", "what would be sent"),
            [(one.key.misid, one.key.role, "\n".join(_lines(one, before.get(one.key, {})))) for one in some],
        )


def _lines(change: _Change, before: Mapping[str, Sent]) -> Iterator[str]:
    for name, value in sorted(change.fields.items()):
        was = f" (now: {_value(before[name])})" if before.get(name) is not None else ""
        yield f"{name}: {_value(value)}{was}"
    for name, key in sorted(change.waits_for.items()):
        yield f"{name}: of the {key.role} {key.misid}, created in the same run"


def _value(value: Sent) -> str:
    return "empty" if value in {None, ""} else str(value)


def _alike(
    title: str,
    people: Iterable[tuple[str, tuple[str, ...]]],
    headings: tuple[str, ...],
    named: int,
    said: str = "",
    notes: Sequence[tuple[str, str]] = (),
) -> Section:
    """A section with a row for each group of people with the same cells, the largest groups first."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for misid, each in people:
        alike.setdefault(each, []).append(misid or "(no MISID)")
    groups = sorted(alike.items(), key=lambda group: -len(group[1]))
    rows: list[Cells] = [(len(misids), *each, _some(misids, named)) for each, misids in groups[:_GROUPS]]
    if rest := groups[_GROUPS:]:
        misids = [misid for _, group in rest for misid in group]
        others = (f"in {len(rest)} other ways", *("" for _ in headings[1:]))
        rows.append((len(misids), *others, _some(misids, named)))
    return Section(title, ("how many", *headings, "MISIDs"), rows, said=said, notes=notes)


def _some(misids: Sequence[str], named: int) -> str:
    return ", ".join(spread(misids, len(misids), named)) + (", …" if len(misids) > named else "")


def _fields_of(creates: Collection[Create]) -> str:
    """The fields that would be sent, each with the number of creates if it is not all."""
    counts = Counter(name for create in creates for name in _document_of(create)["fields"] if name != "MISID")
    return "Fields: " + ", ".join(
        name if count == len(creates) else f"{name} ({count})" for name, count in sorted(counts.items())
    )


def _advice(problems: Iterable[Held | Warned], advice: Mapping[Reason, Advice]) -> list[tuple[str, str]]:
    reasons = sorted({problem.reason for problem in problems} & advice.keys())
    return [(describe(reason), f"{advice[reason].meaning} {advice[reason].remedy}") for reason in reasons]


def _plans_document(plans: Mapping[int, GuardedPlan], calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``; one for all organisations, each entry with its own."""
    documents = {each: _plan_document(planned, calls_per_second) for each, planned in plans.items()}
    if len(documents) == 1:
        return next(iter(documents.values()))
    stopped = [
        f"{each}: {one['guard'].removeprefix('stopped: ')}" for each, one in documents.items() if one["guard"] != "ok"
    ]
    merged: dict[str, Any] = {"guard": f"stopped: {'; '.join(stopped)}" if stopped else "ok"}
    for each, document in documents.items():
        for name, content in document.items():
            if isinstance(content, Iterator):
                merged[name] = chain(merged.get(name, ()), _naming(each, content))
            elif isinstance(content, int):
                merged[name] = merged.get(name, 0) + content
    return merged


def _naming(organisation_id: int, entries: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({"organisation_id": organisation_id, **entry} for entry in entries)


def _plan_document(planned: GuardedPlan, calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``, each of its lists as an iterator."""
    plan = planned.plan
    return {
        "creates": map(_document_of, plan.creates),
        "updates": ({**_document_of(update), "user_id": update.user_id} for update in plan.updates),
        "leavers": map(_leaver, plan.leavers),
        "returners": map(_returner, plan.returners),
        "held": (_problem(hold.role, hold.misid, hold) for hold in plan.held),
        "warnings": (_problem(warned.key.role, warned.key.misid, warned) for warned in plan.warnings),
        "assignments": chain(map(_grant, plan.grants), map(_assign, plan.assigns)),
        "unchanged": plan.unchanged,
        "calls": plan.calls,
        "seconds": plan.seconds(calls_per_second),
        "guard": _guard(planned),
    }


def _guard(planned: GuardedPlan) -> str:
    return f"stopped: {'; '.join(planned.objections)}" if planned.objections else "ok"


def _document_of(change: Create | Update) -> dict[str, Any]:
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
    return ", ".join(name for name in _document_of(change)["fields"] if name != "MISID")


def _return(returner: Returner) -> str:
    return "unarchived" if returner.is_archived else "nothing to send"


def _leave(leaver: Leaver) -> str:
    return "archived" if leaver.to_archive else "reported only"
