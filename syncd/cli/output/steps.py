"""The steps of a plan on a terminal, in a CSV file and on a page."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from syncd.cli.options import whoami
from syncd.cli.output.html import Section, write_page
from syncd.cli.output.streams import data_output
from syncd.core.buffers import Buffer
from syncd.core.decisions import StepKind
from syncd.core.fields import Role
from syncd.settings import Settings
from syncd.state.plan_steps import StepGroup, StoredStep
from syncd.state.views.plan_listing import csv_lines, value_text
from syncd.wiring.clock import now

#: What each kind of step is called.
KINDS: Final = {
    StepKind.CREATE: "create",
    StepKind.UPDATE: "update",
    StepKind.LINK: "link",
    StepKind.REKEY: "new MISID",
    StepKind.RELEASE: "release",
    StepKind.UNARCHIVE: "unarchive",
    StepKind.RETURN: "returned",
    StepKind.ASSIGN: "assign",
    StepKind.ARCHIVE: "archive",
    StepKind.LEAVE: "left the MIS",
}


def print_csv(organisation_id: int, steps: Iterable[StoredStep], *, with_values: bool, header: bool = True) -> None:
    """Print a plan as CSV, one row for each field of a step."""
    data_output().writelines(csv_lines(organisation_id, steps, with_values=with_values, header=header))


def groups_section(groups: Iterable[StepGroup]) -> Section:
    """The steps in groups: how many there are of each kind and role with the same fields."""
    rows = [(each.count, KINDS[each.kind], each.role, each.fields.replace(",", ", ")) for each in groups]
    return Section("Changes", ("how many", "action", "role", "fields"), rows, "The plan has no changes.")


def every_step(steps: Iterable[StoredStep], whose: str, *, with_values: bool) -> Iterator[Section]:
    """A section for each group of steps, which opens and then lists every one of them."""
    groups: dict[tuple[StepKind, Role, tuple[str, ...]], Buffer[StoredStep]] = {}
    for step in steps:
        groups.setdefault((step.kind, step.role, step.fields), Buffer(StoredStep)).append(step)
    for (kind, role, names), listed in sorted(groups.items(), key=lambda group: -len(group[1])):
        fields = ", ".join(name for name in names if name != "MISID")
        title = f"{whose}{len(listed):,} times {KINDS[kind]}, {role}" + (f": {fields}" if fields else "")
        if with_values:
            rows = ((_named(step), "\n".join(_lines(step))) for step in listed.close())
            yield Section(title, ("MISID", "what is sent"), rows, is_folded=True)
        else:
            named = ", ".join(map(_named, listed.close()))
            yield Section(title, ("MISIDs",), [(named,)], is_folded=True)


def _named(step: StoredStep) -> str:
    return f"{step.misid} ({step.other})" if step.other else step.misid


def _lines(step: StoredStep) -> Iterator[str]:
    for value in step.values:
        was = f" (now: {value_text(value.before)})" if value.before is not None else ""
        yield f"{value.field}: {value_text(value.after) or 'empty'}{was}"


def write_plan_page(
    file: Path,
    settings: Settings,
    organisations: Sequence[int],
    what: str,
    sentences: Sequence[str],
    sections: Iterable[Section],
    *,
    with_values: bool,
) -> None:
    """Write a page with a plan to sign off; ``what`` is what it shows. Raises `ConfigurationError`."""
    onefile = settings.onefile
    where = onefile.environment or onefile.url
    which = ", ".join(map(str, organisations))
    title = f"syncd, organisation{'s' * (len(organisations) > 1)} {which} on {where}: {what}"
    made = f"As of {now().astimezone():%d %b %Y %H:%M %Z}, made for {whoami()}; nothing was changed. "
    made += (
        "It contains personal values: handle it as confidential." if with_values else "It contains no personal values."
    )
    write_page(
        file,
        title,
        made,
        sentences,
        sections,
        to_sign=(
            "I have read this plan and agree to it. Changes made in the MIS after the plan are not on it; an approval "
            "in syncd covers exactly the changes of the run that it is given to."
        ),
    )
