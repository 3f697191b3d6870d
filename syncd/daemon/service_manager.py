"""Reports the daemon's state to systemd: ready, reloading, stopping, and a one-line status.

The protocol is sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names; systemd's manual has code for it to
copy. Of the packages for it, sdnotify has had no release since 2017, and cysystemd is compiled for Linux alone.
"""

import os
import socket
import time
from contextlib import suppress
from typing import Final

#: The most that systemd shows of a status.
_LONGEST_STATUS: Final = 500


class ServiceManager:
    """The service manager that started this process; nothing is sent if there is none.

    ``address`` is the value of NOTIFY_SOCKET. No method raises: a message that cannot be sent is dropped.
    """

    def __init__(self, address: str = "") -> None:
        self._address = address

    def ready(self, status: str) -> None:
        """The start or reload is complete: the configuration is in use."""
        self._send("READY=1", f"STATUS={_one_line(status)}")

    def doing(self, status: str) -> None:
        """What the daemon does now, in one line for 'systemctl status'."""
        self._send(f"STATUS={_one_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon finishes the calls in flight and ends."""
        self._send("STOPPING=1", "STATUS=Finishing the calls in flight.")

    def _send(self, *lines: str) -> None:
        family = getattr(socket, "AF_UNIX", None)
        if family is None or not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.connect(address)
            sender.sendall("\n".join(lines).encode())


def manager_of_this_process() -> ServiceManager:
    """The service manager that the environment names."""
    return ServiceManager(os.environ.get("NOTIFY_SOCKET", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]
