"""A quiet window that lasts from an hour ago to an hour from now."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo


def quiet_now() -> str:
    """Return the window as ``schedule.quiet`` has it, in the time zone of a configuration that names none."""
    now = datetime.now(ZoneInfo("Europe/London"))
    begins, ends = (f"{now + timedelta(hours=hours):%H:%M}" for hours in (-1, 1))
    return f"{begins}-{ends}"
