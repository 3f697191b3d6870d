"""In sync or not, in one sentence."""

from dataclasses import dataclass

from syncd.core.run import OneFileStatus, RunState
from syncd.core.text import join, plural
from syncd.state.runs import RunSummary
from syncd.state.views.status import StatusReport
from syncd.web.labels import Tone


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of an organisation."""

    tone: Tone
    headline: str
    more: str = ""


def standing(status: StatusReport, as_of: str) -> Standing:
    """Sum up the state of one organisation.

    ``as_of`` is when the last complete run read the MIS; empty if there was none.
    """
    last, waiting = status.last_run, status.waiting
    if last is None:
        return Standing(Tone.PLAIN, "No run has been made yet.", "The daemon makes the first one when it starts.")
    if last.state is RunState.RUNNING:
        return Standing(Tone.BUSY, f"Run {last.id} is in progress.")
    if waiting:
        more = f"The guard stopped it: {waiting.reason}. Only what is approved is sent."
        return Standing(Tone.WAITING, f"Not in sync: run {waiting.id} waits for approval.", more)
    return _of_last_run(status, last) or _of_records(status, as_of)


def _of_last_run(status: StatusReport, last: RunSummary) -> Standing | None:
    """The standing if the last run did not do what it planned."""
    if status.onefile.status is OneFileStatus.UNREACHABLE:
        return Standing(Tone.BAD, "Not in sync: OneFile cannot be reached.", last.reason)
    match last.state:
        case RunState.APPROVED:
            headline = f"Not in sync yet: run {last.id} is approved."
            return Standing(Tone.WAITING, headline, "The next run makes these changes.")
        case RunState.REJECTED:
            headline = f"Not in sync: run {last.id} was rejected."
            more = "Its changes were not sent, and are not planned again until their records change."
            return Standing(Tone.WAITING, headline, more)
        case RunState.FAILED:
            return Standing(Tone.BAD, "Not known to be in sync: the last run failed.", last.reason)
        case RunState.INTERRUPTED:
            headline = "Not known to be in sync: the last run was interrupted."
            return Standing(Tone.WAITING, headline, "The next one continues from there.")
        case _:
            return None


def _of_records(status: StatusReport, as_of: str) -> Standing:
    if status.in_doubt:
        said = plural(status.in_doubt, "create is", "creates are")
        more = (
            "Each run searches OneFile for the outcome. Nothing is created again before the search is known to be up "
            "to date; 'syncd held' says what it waits for."
        )
        return Standing(Tone.WAITING, f"Not known to be in sync: {said} in doubt.", more)
    if not as_of:
        more = "The runs so far were limited to some MISIDs."
        return Standing(Tone.WAITING, "Not known to be in sync: no complete run yet.", more)
    if status.suspended:
        kinds = join([str(each.kind) for each in status.suspended])
        headline = f"Not in sync: {kinds} are suspended."
        more = "OneFile refuses them again and again. Each run tries one, and sends the rest when OneFile accepts it."
        return Standing(Tone.BAD, headline, more)
    held, drift = status.held.total(), status.drift or 0
    exceptions = [
        *([plural(held, "held record")] if held else []),
        *([f"{plural(drift, 'account')} with drift"] if drift else []),
    ]
    more = f"All {'other ' if exceptions else ''}records of the feeds are in OneFile. {_drift_in_words(status.drift)}"
    if exceptions:
        return Standing(Tone.WAITING, f"In sync as of {as_of}, except {join(exceptions)}.", more)
    return Standing(Tone.GOOD, f"In sync as of {as_of}.", more)


def _drift_in_words(drift: int | None) -> str:
    """What is known of changes that were made in OneFile itself."""
    if drift is None:
        return "Not checked: changes made in OneFile itself; 'syncd verify' finds them."
    if drift:
        return "The last verify found values in OneFile that differ from those it last accepted; see 'syncd verify'."
    return "Changes made in OneFile since the last verify are not checked."
