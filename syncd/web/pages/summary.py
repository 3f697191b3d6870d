"""In step or not, in one sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from syncd.core.run import RunState
from syncd.web.labels import Tone, counted


@dataclass(frozen=True, slots=True)
class Standing:
    """How an organisation stands."""

    tone: Tone
    headline: str
    more: str = ""


def standing(status: Mapping[str, Any]) -> Standing:
    """Sum up one organisation's document of ``syncd status --json``."""
    last, waiting = status["last_run"], status["awaiting_approval"]
    if last is None:
        return Standing(Tone.PLAIN, "No run has been made yet.", "The first one begins when the daemon does.")
    if last["state"] == RunState.RUNNING:
        return Standing(Tone.BUSY, f"Run {last['run']} is at work.")
    if waiting:
        more = f"It would do more than one run may unasked: {waiting['reason']}. Nothing of it was sent."
        return Standing(Tone.WAITING, f"Not in step: run {waiting['run']} waits for a decision.", more)
    return _undone(status, last) or _of_records(status)


def _undone(status: Mapping[str, Any], last: Mapping[str, Any]) -> Standing | None:
    """What is to be said if the last run has not done what it planned."""
    if str(status["onefile"]).startswith("unreachable"):
        return Standing(Tone.BAD, "Not in step: OneFile cannot be reached.", last["reason"])
    match last["state"]:
        case RunState.APPROVED:
            headline = f"Not in step yet: run {last['run']} is approved."
            return Standing(Tone.WAITING, headline, "The next run does what it planned.")
        case RunState.REJECTED:
            headline = f"Not in step: run {last['run']} was rejected."
            more = "Nothing of it was sent. A later run that is as large will stop and ask again."
            return Standing(Tone.WAITING, headline, more)
        case RunState.FAILED:
            return Standing(Tone.BAD, "Not known to be in step: the last run failed.", last["reason"])
        case RunState.INTERRUPTED:
            headline = "Not known to be in step: the last run was interrupted."
            return Standing(Tone.WAITING, headline, "The next one goes on from there.")
        case _:
            return None


def _of_records(status: Mapping[str, Any]) -> Standing:
    if status["in_doubt"]:
        said = counted(status["in_doubt"], "create has", "creates have")
        more = "A later run looks in OneFile for what became of it, before anything is created again."
        return Standing(Tone.WAITING, f"Nearly in step: {said} had no answer.", more)
    if held := sum(status["held"].values()):
        headline = f"In step, but for {counted(held, 'held record')}."
        return Standing(Tone.WAITING, headline, "Everybody else in the MIS is in OneFile as the MIS has them.")
    return Standing(Tone.GOOD, "In step.", "Everybody in the MIS is in OneFile as the MIS has them.")
