"""An example of every command, for the end of its --help and for the documentation."""

from typing import Final

#: By command, in the order of --help. A test parses each.
EXAMPLES: Final = {
    "demo": "syncd demo",
    "init": "syncd init /etc/syncd",
    "simulate": "syncd simulate --port 8021 --keychain",
    "doctor": "syncd doctor",
    "sync": "syncd sync --misid L1042",
    "run": "syncd run --config /etc/syncd/syncd.toml",
    "plan": "syncd plan --html plan.html",
    "resync": "syncd resync --misid L1042 --wait",
    "approve": "syncd approve 17",
    "reject": "syncd reject 17",
    "retry": "syncd retry L1042",
    "rekey": "syncd rekey L1042 L2042",
    "restore": "syncd restore L1042",
    "link": "syncd link --apply links.csv",
    "unlink": "syncd unlink L1042",
    "verify": "syncd verify --fix",
    "status": "syncd status --json",
    "held": "syncd held --warnings",
    "accounts": "syncd accounts --csv",
    "history": "syncd history --since 7d",
    "report": "syncd report --since 2026-11-01 --html report.html",
    "explain": "syncd explain L1042",
    "help": "syncd help duplicate key",
    "credentials export": "syncd credentials export passwords.csv",
    "db upgrade": "syncd db upgrade",
    "db current": "syncd db current",
    "db check": "syncd db check",
    "db backup": "syncd db backup syncd-backup.db",
    "db reseal": "syncd db reseal",
    "admin password": "syncd admin password",
    "notify test": "syncd notify test",
}
