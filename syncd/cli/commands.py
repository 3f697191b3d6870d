"""The commands, as --help lists them. A test compares each summary with the command itself."""

from typing import Final, NamedTuple


class Listed(NamedTuple):
    """A command that is listed without the import of its module."""

    module: str
    """The module of `syncd.cli` that adds it."""
    panel: str
    """The part of --help that lists it."""
    summary: str
    """The first paragraph of its own --help."""


#: In the order in which --help lists them.
COMMANDS: Final = {
    "demo": Listed(
        "demo",
        "Setting up",
        "Show the whole story on this machine in under a minute. Needs no OneFile account and no MIS.",
    ),
    "init": Listed(
        "init.command",
        "Setting up",
        "Write a commented syncd.toml and a query for each feed, from your answers and the MIS's schema.",
    ),
    "simulate": Listed(
        "simulate", "Setting up", "Serve a simulated OneFile on this machine, to try syncd or another client."
    ),
    "doctor": Listed(
        "doctor", "Setting up", "Check what a run needs: configuration, state store, MIS, feeds, OneFile."
    ),
    "plan": Listed(
        "plan", "Running", "Show what a run would do, or with RUN what that run was to do. Changes nothing."
    ),
    "sync": Listed(
        "sync", "Running", "Make one run now, in the foreground; with several organisations, one run for each in turn."
    ),
    "run": Listed("run", "Running", "Run the daemon: poll on the schedule until it is stopped."),
    "resync": Listed(
        "resync", "Running", "Ask the running daemon for a run now, from any machine that reaches the state store."
    ),
    "approve": Listed(
        "approve",
        "Deciding",
        "Approve the changes of a stopped run: the next run makes those that the MIS still asks for, within 24 hours.",
    ),
    "reject": Listed(
        "approve", "Deciding", "Reject the changes of a stopped run, or what is left of them after a part was approved."
    ),
    "undo": Listed(
        "undo", "Deciding", "Take back what a run has sent, where OneFile still has it: it reads those accounts first."
    ),
    "retry": Listed("retry", "Deciding", "Let the next run retry refused records, and answer questions about people."),
    "rekey": Listed(
        "rekey", "Deciding", "Give an account a new MISID: the same person under a new number. UserID and history stay."
    ),
    "release": Listed(
        "release", "Deciding", "Take a MISID from its account, because the MIS has given it to another person."
    ),
    "restore": Listed("restore", "Deciding", "Unarchive an account, whatever the state store has as its status."),
    "link": Listed(
        "link",
        "First contact",
        "Match existing OneFile accounts to MIS records, so that the first run does not create duplicates.",
    ),
    "unlink": Listed("unlink", "First contact", "Undo a wrong link between a MISID and an account."),
    "verify": Listed(
        "verify",
        "Running",
        "Read accounts back from OneFile and report drift: values that differ from those OneFile last accepted.",
    ),
    "status": Listed(
        "status",
        "Looking",
        "Show the status: last and next run, what waits for approval, accounts, held records, what is in doubt.",
    ),
    "runs": Listed(
        "runs", "Looking", "List the newest runs, or show one: what it planned, what it sent, and why it was stopped."
    ),
    "held": Listed("held", "Looking", "List the records that cannot be sent: reason, date, and what to do."),
    "accounts": Listed(
        "accounts",
        "Looking",
        "List the accounts: MISID, OneFile UserID, status, and when OneFile last accepted a change.",
    ),
    "history": Listed(
        "history", "Looking", "List the changes sent for one MISID, or for everyone in a period, oldest first."
    ),
    "report": Listed(
        "report", "Looking", "Report a period for a manager or an auditor: runs, approvals, changes, held records."
    ),
    "explain": Listed(
        "explain",
        "Looking",
        "Explain one record end to end: its row, its account, what a run would do, and why. Sends nothing.",
    ),
    "credentials": Listed("credentials", "Running", "Export the first passwords of new accounts."),
    "db": Listed("db", "Setting up", "Maintain the state store: schema, check, backup, encryption."),
    "admin": Listed("admin", "Setting up", "Manage access to the web pages."),
    "notify": Listed("notify", "Setting up", "Manage notifications."),
    "help": Listed(
        "help",
        "Looking",
        "Print a page of the documentation, or explain a reason, a warning or an error and what to do about it.",
    ),
}
