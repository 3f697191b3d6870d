"""``python -m syncd`` and the ``syncd`` script."""

import os
import sys

from syncd import early_signals


def main() -> None:
    """Run a command in this process, which is syncd's own."""
    if early_signals.is_daemon(sys.argv[1:]):
        early_signals.install()
    # Importing these takes long, so signals must be handled before.
    from syncd import cli  # noqa: PLC0415
    from syncd.cli.output.stdout import open_stdout  # noqa: PLC0415
    from syncd.cli.program import end_without_output  # noqa: PLC0415
    from syncd.log_queue import open_stderr  # noqa: PLC0415

    # Everything that syncd writes is for its owner only, whatever umask a shell or a service manager has.
    os.umask(0o077)
    output, errors = open_stdout(), open_stderr()
    if errors:
        errors.on_dropped = _note_dropped
    try:
        cli.main()
    except SystemExit as ending:
        # What was logged comes before what is printed at the end.
        if errors and not errors.drain():
            errors = None
        sys.stdout.flush()
        if output and output.complaint:
            end_without_output(output.complaint, ending.code)
        raise
    finally:
        if errors:
            errors.drain()


def _note_dropped(lines: int) -> None:
    # The logging is only imported if something is logged, or was dropped.
    from syncd.logs import note_dropped  # noqa: PLC0415

    note_dropped(lines)


if __name__ == "__main__":
    main()
