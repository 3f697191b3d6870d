"""Logging, set up once: one line per event, as JSON or for people.

Lines contain MISIDs, UserIDs and field names. No personal value and no secret is ever passed to a logger.
"""

import logging
import sys
import time
from threading import Lock
from typing import Any, Final, Literal

import stamina.instrumentation
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from syncd.core.text import printable
from syncd.journal import with_priority

_JSON: Final = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)

Format = Literal["json", "console"]
Level = Literal["debug", "info", "warning", "error"]

#: For how long the repetitions of a library's warning are counted.
_HOUR_SECONDS: Final = 3600.0
#: Of how many different warnings; all others of a library count as one, because some libraries put values into them.
_MOST_COUNTED: Final = 1000


def set_up(format_: Format, level: Level) -> FilteringBoundLogger:
    """Send all logging, other libraries' warnings too, to standard error in one format; returns syncd's logger."""
    # A change records its attempts; stamina's own lines would repeat error texts.
    stamina.instrumentation.set_on_retry_hooks([])
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderers: list[Processor] = [_to_json] if format_ == "json" else [_with_printable_texts, console]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _ToStandardError()
    handler.addFilter(_Repetitions())
    handler.setFormatter(
        _WithPriority(
            foreign_pre_chain=[*shared, _without_arguments],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("syncd").setLevel(level.upper())
    logging.captureWarnings(capture=True)
    logger: FilteringBoundLogger = structlog.get_logger("syncd")
    return logger


def note_dropped(lines: int) -> None:
    """Log that lines of the log were dropped, because nothing has read them in time (`syncd.log_queue`)."""
    if not structlog.is_configured():
        # A command without a log has only sentences.
        sys.stderr.write(f"{lines} lines were dropped here, because nothing has read them.\n")
        return
    # As an error, so that it is there at every level.
    log: FilteringBoundLogger = structlog.get_logger("syncd")
    log.error("log_lines_dropped", lines=lines)


class _WithPriority(structlog.stdlib.ProcessorFormatter):
    """Adds each line's priority for the journal."""

    def format(self, record: logging.LogRecord) -> str:
        return with_priority(super().format(record), record.levelno)


class _ToStandardError(logging.StreamHandler[Any]):
    """Writes to the current `sys.stderr`, which a progress bar may have replaced."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, _stream: Any) -> None: ...


def _to_json(logger: Any, name: str, event: Any) -> str:
    """Render the event; JSON has an escape for what is not printable, so it stays the same document."""
    return printable(str(_JSON(logger, name, event)))


def _with_printable_texts(_logger: Any, _name: str, event: Any) -> Any:
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


class _Repetitions(logging.Filter):
    """Lets a library's warning through for the first, 10th, 100th, … time in an hour, with the number of ``times``.

    Otherwise a client of the admin port could fill the disk with warnings about its requests.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = Lock()
        self._counted: dict[tuple[str, str, str], int] = {}
        self._since = time.monotonic()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        if record.name.partition(".")[0] == "syncd":
            return True
        with self._lock:
            now = time.monotonic()
            if now - self._since >= _HOUR_SECONDS:
                self._counted.clear()
                self._since = now
            kind = record.name, _first_line(record), _exception_of(record)
            if len(self._counted) >= _MOST_COUNTED and kind not in self._counted:
                kind = record.name, "", ""
            times = self._counted[kind] = self._counted.get(kind, 0) + 1
        record.times = times
        return str(times).strip("0") == "1"


def _first_line(record: logging.LogRecord) -> str:
    return str(record.msg).partition("\n")[0]


def _exception_of(record: logging.LogRecord) -> str:
    """The name of the exception's class; empty if there is none."""
    return getattr(record.exc_info[0], "__name__", "") if record.exc_info else ""


def _without_arguments(_logger: Any, _name: str, event: Any) -> Any:
    """Reduce another library's message to its source and first line, because the rest may quote values."""
    record = event.get("_record")
    if record is not None:
        event["event"] = "library_warning"
        event["library"] = record.name
        event["message"] = _first_line(record)
        if (times := getattr(record, "times", 1)) > 1:
            event["times"] = times
        if record.exc_info:
            event["exception"] = _exception_of(record)
        event.pop("exc_info", None)
        record.exc_info = record.exc_text = None
    return event
