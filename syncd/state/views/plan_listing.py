"""Plans as they are listed: as CSV and as JSON, of a stored plan or of one that was only made."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from syncd.core.decisions import describe_step, shown_values
from syncd.core.plan import Step, Update
from syncd.core.records import Key
from syncd.core.spreadsheet import as_text
from syncd.core.values import Sent
from syncd.state import accounts
from syncd.state.plan_steps import BATCH, StepToStore, StepValue, StoredStep
from syncd.state.session import StateSession

#: The columns of the CSV; there is one row for each field of a step.
COLUMNS: Final = ("organisation_id", "action", "role", "misid", "other_misid", "field", "decision", "outcome")
#: The columns for those who may see values.
VALUE_COLUMNS: Final = ("value_now", "value_to_send")


def listed(session: StateSession, steps: Iterable[StepToStore], *, with_values: bool) -> Iterator[StoredStep]:
    """The steps of a plan that is not stored, as those of a stored one are listed."""
    batch: list[StepToStore] = []
    first = 0
    for each in steps:
        batch.append(each)
        if len(batch) == BATCH:
            yield from _listed(session, first, batch, with_values=with_values)
            first, batch = first + BATCH, []
    yield from _listed(session, first, batch, with_values=with_values)


def _listed(session: StateSession, first: int, batch: list[StepToStore], *, with_values: bool) -> Iterator[StoredStep]:
    updated = [each.step.key for each in batch if isinstance(each.step, Update)]
    before = accounts.values(session, updated) if with_values and updated else {}
    for position, each in enumerate(batch, first):
        text = describe_step(each.step)
        values = _values(each.step, before.get(text.key, {})) if with_values else ()
        yield StoredStep(
            position,
            text.kind,
            text.key.role,
            text.key.misid,
            text.other or each.other,
            text.fields,
            each.decision,
            None,
            "",
            values,
        )


def _values(step: Step, before: Any) -> tuple[StepValue, ...]:
    return tuple(StepValue(name, before.get(name), value) for name, value in sorted(shown_values(step).items()))


def value_text(value: Sent | Key) -> str:
    """A value as it is shown; that of an account which the run creates first names it."""
    if isinstance(value, Key):
        return f"{value.role} {value.misid}"
    return "" if value is None else str(value)


def csv_lines(
    organisation_id: int, steps: Iterable[StoredStep], *, with_values: bool, header: bool = True
) -> Iterator[str]:
    """The lines of the CSV file of a plan."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    if header:
        writer.writerow([*COLUMNS, *(VALUE_COLUMNS if with_values else ())])
    for step in steps:
        values = {value.field: value for value in step.values}
        for name in step.fields or ("",):
            row = [
                str(organisation_id),
                step.kind,
                step.role,
                as_text(step.misid),
                as_text(step.other),
                name,
                step.decision,
                step.outcome or "",
            ]
            if with_values:
                value = values.get(name)
                row += [as_text(value_text(value.before)), as_text(value_text(value.after))] if value else ["", ""]
            writer.writerow(row)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def step_document(step: StoredStep) -> dict[str, Any]:
    """A step in ``syncd plan RUN --json``."""
    return {
        "action": step.kind,
        "role": step.role,
        "misid": step.misid,
        "other_misid": step.other or None,
        "fields": list(step.fields),
        "decision": step.decision,
        "outcome": step.outcome,
    }
