"""The simulator as a running server: a context manager for tests, `serve` for the command line."""

import ipaddress
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, Self

import uvicorn

from syncd.simulator.abort import AbortableProtocol
from syncd.simulator.app import CUSTOMER_TOKEN, PREFIX, FrontDoor, make_app
from syncd.simulator.control import Control
from syncd.simulator.faults import Faults
from syncd.simulator.journal import Journal
from syncd.simulator.seed import Seed, sow, start
from syncd.simulator.server_thread import QuickServer
from syncd.simulator.sessions import Sessions
from syncd.simulator.switches import Switches
from syncd.simulator.world import World

_START_SECONDS = 10.0


class Simulator:
    """A simulated OneFile on loopback; a context manager.

    Args:
        switches: the behaviour that the fact sheet leaves open; the defaults of `Switches` if omitted.
        seed: the initial data, as `Seed` or as its dict; `seed.DEFAULT_SEED` if omitted.
        clock: returns the time in seconds since 1970; sessions, limits and search lags use it.
        host, port: a loopback address; port 0 for any free port.
        customer_token: the token that Authentication requires.

    Raises:
        ValueError: for a host that is not loopback; its subclass `SeedRefused` for a malformed seed.
        OSError: on entering, if the port is in use.
    """

    def __init__(
        self,
        switches: Switches | None = None,
        seed: Seed | Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.time,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        customer_token: str = CUSTOMER_TOKEN,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The simulator serves loopback only; {host} is not.")
        self.switches = switches or Switches()
        self.customer_token = customer_token
        self.world = World(clock, self.switches)
        self.journal = Journal()
        self.sessions = Sessions(clock, self.switches.session_seconds)
        start(self.world, _as_seed(seed))
        self._host = host
        self._port = port
        self._front_door = FrontDoor(
            world=self.world,
            journal=self.journal,
            faults=Faults(clock),
            sessions=self.sessions,
            lock=threading.RLock(),
            clock=clock,
            customer_token=customer_token,
        )
        self._server: QuickServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def faults(self) -> Faults:
        """The faults that apply to calls; can be replaced."""
        return self._front_door.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._front_door.faults = faults

    @property
    def origin(self) -> str:
        """The base URL of the control endpoints, which are below ``/simulator``: ``http://127.0.0.1:PORT``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The base URL to configure in a client (§1): ``http://127.0.0.1:PORT/api/v2.1``."""
        return self.origin + PREFIX

    def sow(self, seed: Seed | Mapping[str, Any]) -> None:
        """Adds the rows of a seed to the running world; raises `SeedRefused` for a malformed one."""
        with self._front_door.lock:
            sow(self.world, _as_seed(seed) or Seed())

    def expire_sessions(self) -> None:
        """Ends every session, so that each client's next call gets 401 (§2)."""
        self.sessions.expire()

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # asyncio sets TCP_NODELAY only for an explicit TCP socket; without it, every response takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(self._front_door, Control(self._front_door).routes()),
            http=AbortableProtocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
        )
        self._server = QuickServer(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="syncd-simulator", daemon=True
        )
        self._thread.start()
        if not self._server.is_up.wait(_START_SECONDS):
            raise RuntimeError("The simulator did not start.")
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
            self._server = self._thread = None


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    switches: Switches | None = None,
    seed: Seed | Mapping[str, Any] | None = None,
    announce: Callable[[Simulator], None] = lambda _simulator: None,
) -> None:
    """Runs a simulator until SIGINT or SIGTERM; must be called in the main thread.

    Args:
        host, port, switches, seed: as for `Simulator`.
        announce: called once, when the simulator is ready.

    Raises:
        ValueError, OSError: as `Simulator` does.
    """
    stop = threading.Event()

    def stop_on(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    simulator = Simulator(switches, seed, host=host, port=port)
    before = {number: signal.signal(number, stop_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            announce(simulator)
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address or ``localhost``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _as_seed(seed: Seed | Mapping[str, Any] | None) -> Seed | None:
    return seed if seed is None or isinstance(seed, Seed) else Seed.of(seed)
