"""A simulated OneFile on loopback, for developers who have no OneFile to test against.

In tests::

    with Simulator(switches=Switches(keychain=True)) as onefile:
        onefile.faults.add(Fault(FaultKind.DROP_AFTER, method="POST", path="/User"))
        ...
        assert [call.path for call in onefile.journal.writes] == ["/User"]

On the command line: ``syncd simulate --help``.
"""

from syncd.simulator.app import CUSTOMER_TOKEN
from syncd.simulator.faults import Fault, FaultKind, Faults
from syncd.simulator.journal import Call, Journal
from syncd.simulator.limiter import make_limiter
from syncd.simulator.seed import Seed, SeedRefused
from syncd.simulator.server import Simulator, serve
from syncd.simulator.switches import (
    ArchivedForm,
    DateForm,
    ErrorBody,
    KeychainBody,
    LimiterShape,
    MisidFilter,
    MisidForm,
    NameFilter,
    OverCap,
    Switches,
)

__all__ = [
    "CUSTOMER_TOKEN",
    "ArchivedForm",
    "Call",
    "DateForm",
    "ErrorBody",
    "Fault",
    "FaultKind",
    "Faults",
    "Journal",
    "KeychainBody",
    "LimiterShape",
    "MisidFilter",
    "MisidForm",
    "NameFilter",
    "OverCap",
    "Seed",
    "SeedRefused",
    "Simulator",
    "Switches",
    "make_limiter",
    "serve",
]
