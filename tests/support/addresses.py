"""Addresses on this machine."""

import socket


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def free_address() -> str:
    """Host and port that nothing listens on."""
    return f"127.0.0.1:{free_port()}"


def listens(address: str) -> bool:
    """Whether something takes connections at this host and port."""
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
