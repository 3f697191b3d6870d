"""The command run: the daemon."""

from contextlib import closing
from functools import partial

from syncd.cli.config_option import ConfigOption
from syncd.cli.context import (
    set_by,
    stopped_by_signals,
)
from syncd.cli.options import file_of, set_up_logs
from syncd.cli.program import app
from syncd.settings import load_settings
from syncd.wiring.store import bare_store, make_ready


@app.command()
def run(*, config: ConfigOption = None) -> None:
    """Run the daemon: poll on the schedule until it is stopped.

    The first poll starts at once; 'syncd resync' or SIGUSR1 requests another. SIGTERM or Ctrl+C finishes the calls in
    flight and exits with 0; SIGHUP reloads the configuration and the feeds. Of several daemons on one state store,
    one works and the others wait to take over. If the state store cannot be reached, the daemon waits for it.
    """
    # Only the daemon needs its scheduler and its server, which take time to load.
    from syncd.daemon.daemon import Daemon, Signals  # noqa: PLC0415
    from syncd.daemon.service_manager import manager_of_this_process  # noqa: PLC0415
    from syncd.web.metrics import Requests  # noqa: PLC0415
    from syncd.wiring.admin import open_admin  # noqa: PLC0415
    from syncd.wiring.daemon import DaemonConfigFile  # noqa: PLC0415
    from syncd.wiring.notify import open_notifier  # noqa: PLC0415

    file = file_of(config)
    with stopped_by_signals() as stopping, set_by("SIGUSR1") as asked, set_by("SIGHUP") as reload:
        settings = load_settings(file)
        log = set_up_logs(settings)
        store, requests = bare_store(settings), Requests()
        store.is_stopping = stopping.is_set
        telling = open_notifier(settings, store, log)
        with (
            closing(DaemonConfigFile(file, settings, store, log, stopping, requests.note)) as site,
            open_admin(lambda: site.settings, store, log, stopping, requests),
        ):
            Daemon(
                site.orders,
                Signals(stopping, asked, reload),
                site.reread,
                telling=telling,
                open_store=partial(make_ready, store, settings),
                manager=manager_of_this_process(),
            ).run()
