"""The command plan: what a run would do, or what one was to do, as text, JSON, CSV and as a page to sign off."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import head, stopped_by_signals
from syncd.cli.options import (
    JsonOption,
    MisidOption,
    OrganisationOption,
    organisations_of,
    set_up_logs,
    settings_of,
    whole_number,
)
from syncd.cli.output.html import Cells, Section, print_section
from syncd.cli.output.json import print_json_object
from syncd.cli.output.steps import every_step, print_csv, write_plan_page
from syncd.cli.program import app
from syncd.cli.state import store_to_read
from syncd.cli.stored_plan import PlanForm, show_stored_plan
from syncd.core.decisions import StepDigester
from syncd.core.plan import Assign, Create, Grant, Leaver, NextProgramme, Plan, Rekey, Returner, Update
from syncd.core.rate import humanise_duration
from syncd.core.records import Held, Reason, Warned
from syncd.core.run import Trigger
from syncd.core.scope import EVERYONE, Scope
from syncd.core.text import plural
from syncd.settings import Settings
from syncd.state.db.store import Store
from syncd.state.plan_steps import StoredStep
from syncd.state.session import StateSession, reading_session
from syncd.state.views.documents import evidence_document, moment
from syncd.state.views.plan_listing import listed
from syncd.sync.context import SyncContext
from syncd.sync.customer_check import refuse_other_customer
from syncd.sync.decide import DecidedPlan, decide, describe_emails
from syncd.sync.planner import make_plan
from syncd.sync.reasons import HELD, LEFT_OUT, Advice, describe
from syncd.sync.stored_plan import steps_to_store
from syncd.wiring.clock import now
from syncd.wiring.context import open_context

#: The number of MISIDs shown of each group, and the number of groups.
_NAMED: Final = 5
_GROUPS: Final = 10
_WHAT_DEFAULTS: Final = {"ClassroomID": "classroom", "PlacementID": "placement", "DefaultAssessorID": "assessor"}

_PROBLEM_HEADINGS: Final = ("reason", "field", "evidence")


@app.command()
def plan(
    run: Annotated[
        int | None,
        typer.Argument(
            metavar="RUN", parser=whole_number, help="A run whose stored plan is shown. Omit it to make a new plan."
        ),
    ] = None,
    *,
    json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: every change, one row for each of its fields.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page to sign off. FILE must not exist yet."),
    ] = None,
    values: Annotated[
        bool,
        typer.Option("--values", help="With --csv or --html: include the values, those of now and those to send."),
    ] = False,
    misid: MisidOption = None,
    organisation: OrganisationOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what a run would do, or with RUN what that run was to do. Changes nothing.

    Reads the MIS, compares it with the values OneFile last accepted, and asks OneFile only for what the plan needs.
    With RUN it reads only the state store. Shows MISIDs and field names, no values unless --values is given.

    Exit codes: 0 done; 1 the MIS, OneFile, the configuration or the run cannot be used.
    """
    form = PlanForm(json=json, as_csv=as_csv, html=html, values=values)
    form.check()
    settings = settings_of(config)
    if run is not None:
        if misid:
            raise typer.BadParameter("cannot be combined with RUN", param_hint="--misid")
        show_stored_plan(settings, run, form)
        return
    organisations = organisations_of(settings, organisation)
    log = set_up_logs(settings, is_watched=True)
    store = store_to_read(settings)
    with stopped_by_signals() as stopping, open_context(settings, store, log, stopping) as context:
        plans = {
            each: _decided(context.for_organisation(each), Scope.of(misid) if misid else EVERYONE)
            for each in organisations
        }
        emails = {
            each: describe_emails(context.for_organisation(each), decided.plan)[0]
            for each, decided in plans.items()
            if decided.objections and not (json or as_csv)
        }
        per_second = context.onefile.rate_limiter.calls_per_second
    if json:
        print_json_object(_plans_document(plans, per_second))
        return
    if as_csv:
        _print_csv(store, plans, with_values=values)
        return
    shown = [
        Shown(each, decided, per_second, settings.onefile.calls_per_minute, misid or (), emails.get(each, ""))
        for each, decided in plans.items()
    ]
    if html:
        _write(html, settings, shown, store, with_values=values)
        typer.echo(f"The plan is in {html}.")
        return
    for one in shown:
        head(one.organisation_id, organisations)
        print_plan(one)


def _print_csv(store: Store, plans: Mapping[int, DecidedPlan], *, with_values: bool) -> None:
    for number, (each, decided) in enumerate(plans.items()):
        with reading_session(store, each, now) as session:
            steps = _listed_steps(session, decided, with_values=with_values)
            print_csv(each, steps, with_values=with_values, header=not number)


def _listed_steps(session: StateSession, decided: DecidedPlan, *, with_values: bool) -> Iterator[StoredStep]:
    split = decided.divided.split(sends_new=not decided.objections)
    steps = steps_to_store(decided, split, StepDigester(session.cipher.fingerprint_secret))
    return listed(session, steps, with_values=with_values)


_Any = TypeVar("_Any")


def spread(items: Iterable[_Any], count: int, most: int) -> list[_Any]:
    """Return ``most`` of ``count`` items, evenly spread: errors in a plan are seldom all at its beginning."""
    shown = min(most, count)
    places = {number * count // shown for number in range(shown)}
    return [item for place, item in enumerate(items) if place in places]


def _decided(context: SyncContext, scope: Scope) -> DecidedPlan:
    refuse_other_customer(context)
    return decide(context, make_plan(context, scope), Trigger.COMMAND)


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan that is shown to the operator."""

    organisation_id: int
    planned: DecidedPlan
    calls_per_second: float
    calls_per_minute: int
    only: Sequence[str] = ()
    """The MISIDs that it is limited to; empty if it is not limited."""
    emails: str = ""
    """How many people OneFile e-mails if it is approved, as a sentence; empty if none."""

    @property
    def counts(self) -> str:
        """The number of records by step; a sentence if there are none."""
        plan = self.planned.plan
        counts = (
            (len(plan.creates), "to create"),
            (len(plan.next_programmes), "next programmes"),
            (len(plan.updates), "to update"),
            (sum(not rekey.is_release for rekey in plan.rekeys), "to give a new MISID"),
            (sum(rekey.is_release for rekey in plan.rekeys), "to release"),
            (len(plan.grants) + len(plan.assigns), "to assign"),
            (sum(one.is_archived for one in plan.returners), "to unarchive"),
            (sum(not one.is_archived for one in plan.returners), "returned"),
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
    def likely_accounts(self) -> str:
        """How many new records may have an account already; an empty text if none."""
        plan = self.planned.plan
        if not (count := _count_likely(plan)):
            return ""
        have = "have a likely account in OneFile and are" if count > 1 else "has a likely account in OneFile and is"
        return f"{count} of {plural(count + len(plan.creates), 'new record')} {have} held; 'syncd link' compares them."

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
            covered = " what is not approved of" if self.planned.decisions.approved else ""
            return [f"The guard would not stop{covered} it."]
        return [
            f"The guard would stop it: {'; '.join(self.planned.objections)}.",
            "'syncd sync' would then wait for 'syncd approve'.",
        ]

    @property
    def remarks(self) -> Iterator[str]:
        """Facts that are easily overlooked."""
        plan = self.planned.plan
        if self.emails:
            yield f"{self.emails[0].upper()}{self.emails[1:]}."
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
        yield _next_programmes(plan, named)
        rekeys = ((_moved(one), (one.key.role,)) for one in plan.rekeys if not one.is_release)
        yield _alike("To give a new MISID", rekeys, ("role",), named)
        released = ((_moved(one), (one.key.role,)) for one in plan.rekeys if one.is_release)
        yield _alike("To release: the MISID has a new owner", released, ("role",), named)
        assignments = (
            *((one.key.misid, (one.key.role, "the placement")) for one in plan.grants),
            *((one.user.misid, (one.user.role, "a learner")) for one in plan.assigns),
        )
        yield _alike("To assign", assignments, ("role", "to what"), named)
        archived = ((one.key.misid, (one.key.role,)) for one in plan.returners if one.is_archived)
        yield _alike("To unarchive", archived, ("role",), named)
        returners = (
            (one.key.misid, (one.key.role, "nothing to send")) for one in plan.returners if not one.is_archived
        )
        yield _alike("Returned", returners, ("role", "what happens"), named)
        leavers = ((one.key.misid, (one.key.role, _leave(one))) for one in plan.leavers)
        yield _alike("Left", leavers, ("role", "what happens"), named)
        held = ((_beside(one.misid, one), _problem_cells(one)) for one in plan.held)
        yield _alike("Held", held, _PROBLEM_HEADINGS, named, notes=_advice(plan.held, HELD))
        left_out = ((_beside(one.key.misid, one), _problem_cells(one)) for one in plan.warnings)
        notes = _advice(plan.warnings, LEFT_OUT)
        yield _alike("Left out of what is sent, and other warnings", left_out, _PROBLEM_HEADINGS, named, notes=notes)


def print_plan(shown: Shown) -> None:
    """Print the plan: the counts, the records, what is held and why, and the number of calls."""
    if shown.likely_accounts:
        typer.echo(f"{shown.likely_accounts}\n")
    typer.echo(shown.counts)
    for section in shown.sections(_NAMED):
        if section.rows:
            print_section(section)
    for remark in shown.remarks:
        typer.echo(f"\n{remark}")
    typer.echo(f"\n{shown.cost}")
    for sentence in shown.guard:
        typer.echo(sentence)


def _write(file: Path, settings: Settings, plans: Sequence[Shown], store: Store, *, with_values: bool) -> None:
    """Write the page with every change; with values, it shows those to send and those that OneFile has now."""
    several = len(plans) > 1
    with ExitStack() as stack:
        sections: Iterator[Section] = chain.from_iterable(
            _sections(
                shown,
                stack.enter_context(reading_session(store, shown.organisation_id, now)),
                several=several,
                with_values=with_values,
            )
            for shown in plans
        )
        sentences = [sentence for shown in plans for sentence in _summary(shown, several=several)]
        organisations = [shown.organisation_id for shown in plans]
        write_plan_page(
            file, settings, organisations, "what a run would do", sentences, sections, with_values=with_values
        )


def _summary(shown: Shown, *, several: bool) -> Iterator[str]:
    whose = f"Organisation {shown.organisation_id}: " * several
    if shown.likely_accounts:
        yield f"{whose}{shown.likely_accounts}"
    yield f"{whose}{shown.counts}{'' if shown.counts.endswith('.') else '.'}"
    yield shown.cost
    yield " ".join(shown.guard)
    yield from shown.remarks


def _sections(shown: Shown, session: StateSession, *, several: bool, with_values: bool) -> Iterator[Section]:
    whose = f"Organisation {shown.organisation_id}: " * several
    for section in shown.sections(_NAMED):
        if section.rows:
            yield replace(section, title=f"{whose}{section.title}")
    steps = _listed_steps(session, shown.planned, with_values=with_values)
    yield from every_step(steps, whose, with_values=with_values)


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


def _next_programmes(plan: Plan, named: int) -> Section:
    people = (
        (f"{one.key.misid} (was {one.old.misid})", (one.key.role, str(one.evidence))) for one in plan.next_programmes
    )
    said = (
        "These people have an account for an earlier programme. They get a new one, as OneFile advises; the old "
        "account becomes a leaver's once its record is gone."
    )
    return _alike("Next programmes", people, ("role", "the same person by"), named, said)


def _moved(rekey: Rekey) -> str:
    return f"{rekey.old.misid} to {rekey.key.misid}"


def _beside(misid: str, problem: Held | Warned) -> str:
    """A MISID with the other one that a question or a warning compares it with."""
    return f"{misid} (and {problem.other})" if misid and problem.other else misid


def _problem_cells(problem: Held | Warned) -> tuple[str, ...]:
    return describe(problem.reason), problem.field, str(problem.evidence or "")


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


def _plans_document(plans: Mapping[int, DecidedPlan], calls_per_second: float) -> dict[str, Any]:
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


def _plan_document(planned: DecidedPlan, calls_per_second: float) -> dict[str, Any]:
    """The document of ``syncd plan --json``, each of its lists as an iterator."""
    plan = planned.plan
    return {
        "creates": map(_document_of, plan.creates),
        "updates": ({**_document_of(update), "user_id": update.user_id} for update in plan.updates),
        "leavers": map(_leaver, plan.leavers),
        "returners": map(_returner, plan.returners),
        "held": (_problem(hold.role, hold.misid, hold) for hold in plan.held),
        "warnings": (_problem(warned.key.role, warned.key.misid, warned) for warned in plan.warnings),
        "next_programmes": map(_next_programme, plan.next_programmes),
        "rekeys": map(_rekey, plan.rekeys),
        "assigns": chain(map(_grant, plan.grants), map(_assign, plan.assigns)),
        "likely_accounts": _count_likely(plan),
        "unchanged": plan.unchanged,
        "calls": plan.calls,
        "seconds": plan.seconds(calls_per_second),
        "guard": _guard(planned),
    }


def _count_likely(plan: Plan) -> int:
    return sum(hold.reason is Reason.HAS_AN_ACCOUNT for hold in plan.held)


def _guard(planned: DecidedPlan) -> str:
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


def _next_programme(one: NextProgramme) -> dict[str, Any]:
    return {
        "role": one.key.role,
        "misid": one.key.misid,
        "old_misid": one.old.misid,
        "evidence": evidence_document(one.evidence),
    }


def _rekey(rekey: Rekey) -> dict[str, Any]:
    return {
        "role": rekey.key.role,
        "misid": rekey.key.misid,
        "old_misid": rekey.old.misid,
        "user_id": rekey.user_id,
        "is_release": rekey.is_release,
    }


def _problem(role: str, misid: str, problem: Held | Warned) -> dict[str, Any]:
    return {
        "role": role,
        "misid": misid,
        "reason": problem.reason,
        "field": problem.field,
        "other": problem.other or None,
        "evidence": evidence_document(problem.evidence),
    }


def _names(change: Create | Update) -> str:
    return ", ".join(name for name in _document_of(change)["fields"] if name != "MISID")


def _leave(leaver: Leaver) -> str:
    return "archived" if leaver.to_archive else "reported only"
