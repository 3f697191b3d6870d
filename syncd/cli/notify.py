"""The command notify: send a test notification."""

import typer

from syncd.cli.config_option import ConfigOption
from syncd.cli.options import set_up_logs, settings_of
from syncd.cli.program import app
from syncd.core.alerts import test_notification
from syncd.errors import ConfigurationError, NotTold

notify = typer.Typer(no_args_is_help=True, help="Manage notifications.")
app.add_typer(notify, name="notify")


@notify.command("test")
def try_out(*, config: ConfigOption = None) -> None:
    """Send a test message to each of notify.urls, and report the result for each.

    A URL may be secret, so only its position and the kind of service are printed.

    Exit codes: 0 all were sent; 1 at least one failed.
    """
    # Apprise takes time to load; only this command waits for it.
    from syncd.notify.channels import channels_of  # noqa: PLC0415
    from syncd.notify.notifier import send  # noqa: PLC0415

    settings = settings_of(config)
    set_up_logs(settings)
    addresses = channels_of(settings.notify.urls)
    if not addresses:
        raise ConfigurationError("No notification URL is configured: set SYNCD_NOTIFY__URLS or notify.urls_file.")
    failures = 0
    for address in addresses:
        try:
            send(address, test_notification())
        except NotTold as problem:
            failures += 1
            typer.echo(str(problem), err=True)
        else:
            typer.echo(f"{address.name}: sent.")
    if failures:
        raise typer.Exit(1)
