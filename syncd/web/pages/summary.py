"""Whether an organisation is in sync, in one sentence."""

from dataclasses import dataclass

from syncd.core.run import OneFileStatus, RunState
from syncd.core.text import plural
from syncd.state.runs import RunSummary
from syncd.state.views.status import StatusReport
from syncd.web.labels import Tone


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of an organisation in one sentence, and one more if it needs explaining."""

    tone: Tone
    headline: str
    more: str = ""


def standing(status: StatusReport) -> Standing:
    """Sum up the state of one organisation."""
    last, waiting = status.last_run, status.waiting
    if last is None:
        return Standing(Tone.PLAIN, "No run has been made yet.", "The first one begins when the daemon does.")
    if last.state is RunState.RUNNING:
        return Standing(Tone.BUSY, f"Run {last.id} is in progress.")
    if waiting:
        more = f"It would change more than one run may without approval: {waiting.reason}. Nothing of it was sent."
        return Standing(Tone.WAITING, f"Not in step: run {waiting.id} waits for a decision.", more)
    return _of_last_run(status, last) or _of_records(status)


def _of_last_run(status: StatusReport, last: RunSummary) -> Standing | None:
    """The standing if the last run did not do what it planned."""
    if status.onefile.status is OneFileStatus.UNREACHABLE:
        return Standing(Tone.BAD, "Not in step: OneFile cannot be reached.", last.reason)
    match last.state:
        case RunState.APPROVED:
            headline = f"Not in step yet: run {last.id} is approved."
            return Standing(Tone.WAITING, headline, "The next run does what it planned.")
        case RunState.REJECTED:
            headline = f"Not in step: run {last.id} was rejected."
            more = "Nothing of it was sent. A later run that is as large will stop and ask again."
            return Standing(Tone.WAITING, headline, more)
        case RunState.FAILED:
            return Standing(Tone.BAD, "Not known to be in step: the last run failed.", last.reason)
        case RunState.INTERRUPTED:
            headline = "Not known to be in step: the last run was interrupted."
            return Standing(Tone.WAITING, headline, "The next run continues where it ended.")
        case _:
            return None


def _of_records(status: StatusReport) -> Standing:
    if status.in_doubt:
        said = plural(status.in_doubt, "create has", "creates have")
        more = "A later run searches OneFile for the account before anything is created again."
        return Standing(Tone.WAITING, f"Nearly in step: {said} had no answer.", more)
    if held := status.held.total():
        headline = f"In step, but for {plural(held, 'held record')}."
        return Standing(Tone.WAITING, headline, "Everybody else in the MIS is in OneFile as the MIS has them.")
    return Standing(Tone.GOOD, "In step.", "Everybody in the MIS is in OneFile as the MIS has them.")
