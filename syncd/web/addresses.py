"""Clients' addresses, as the limits count them."""

from collections.abc import Hashable
from ipaddress import IPv4Address, ip_address, ip_network


def network_of(address: str) -> Hashable:
    """The network that is counted as one client; a client with one IPv6 address has at least 2⁶⁴ of them."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return ip if isinstance(ip, IPv4Address) else ip_network((ip.packed, 64), strict=False)
