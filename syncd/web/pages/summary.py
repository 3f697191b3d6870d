"""In sync or not, in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from syncd.state.runs import RunState
from syncd.web.labels import Tone, counted


@dataclass(frozen=True, slots=True)
class Standing:
    """The status of an organisation."""

    tone: Tone
    headline: str
    more: str = ""


def standing(status: Mapping[str, Any], as_of: str) -> Standing:
    """Sum up one organisation's document of ``syncd status --json``.

    ``as_of`` is when the last complete run read the MIS; empty if there was none.
    """
    last, waiting = status["last_run"], status["awaiting_approval"]
    if last is None:
        return Standing(Tone.PLAIN, "No run has been made yet.", "The daemon makes the first one when it starts.")
    if last["state"] == RunState.RUNNING:
        return Standing(Tone.BUSY, f"Run {last['run']} is in progress.")
    if waiting:
        more = f"The guard stopped it: {waiting['reason']}. Nothing of it was sent."
        return Standing(Tone.WAITING, f"Not in sync: run {waiting['run']} waits for approval.", more)
    return _undone(status, last) or _of_records(status, as_of)


def _undone(status: Mapping[str, Any], last: Mapping[str, Any]) -> Standing | None:
    """The statement if the last run did not carry out its plan."""
    if str(status["onefile"]).startswith("unreachable"):
        return Standing(Tone.BAD, "Not in sync: OneFile cannot be reached.", last["reason"])
    match last["state"]:
        case RunState.APPROVED:
            headline = f"Not in sync yet: run {last['run']} is approved."
            return Standing(Tone.WAITING, headline, "The next run makes these changes.")
        case RunState.REJECTED:
            headline = f"Not in sync: run {last['run']} was rejected."
            more = "Nothing of it was sent. A later run of that size stops again."
            return Standing(Tone.WAITING, headline, more)
        case RunState.FAILED:
            return Standing(Tone.BAD, "Not known to be in sync: the last run failed.", last["reason"])
        case RunState.INTERRUPTED:
            headline = "Not known to be in sync: the last run was interrupted."
            return Standing(Tone.WAITING, headline, "The next one continues from there.")
        case _:
            return None


_NOT_CHECKED: Final = "Not checked: changes made in OneFile itself; 'syncd verify' finds them."


def _of_records(status: Mapping[str, Any], as_of: str) -> Standing:
    if status["in_doubt"]:
        said = counted(status["in_doubt"], "create is", "creates are")
        more = "A later run searches OneFile for the outcome before it creates anything."
        return Standing(Tone.WAITING, f"Not known to be in sync: {said} in doubt.", more)
    if not as_of:
        more = "The runs so far were limited to some MISIDs."
        return Standing(Tone.WAITING, "Not known to be in sync: no complete run yet.", more)
    if held := sum(status["held"].values()):
        headline = f"In sync as of {as_of}, except {counted(held, 'held record')}."
        return Standing(Tone.WAITING, headline, f"All other records of the feeds are in OneFile. {_NOT_CHECKED}")
    return Standing(Tone.GOOD, f"In sync as of {as_of}.", f"All records of the feeds are in OneFile. {_NOT_CHECKED}")
