"""Telling systemd how the daemon is: ready, reloading, stopping, and in one line what it does.

The protocol is sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names; systemd's manual gives code for it to
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
    """The service manager that has started this process; without one that listens nothing is sent.

    ``address`` is what NOTIFY_SOCKET holds. No method raises: what cannot be sent is not sent.
    """

    def __init__(self, address: str = "") -> None:
        self._address = address

    def ready(self, status: str) -> None:
        """The start is over, or the reload: the configuration is in use."""
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
    """The one that the environment names."""
    return ServiceManager(os.environ.get("NOTIFY_SOCKET", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_STATUS]
