"""Peers by address: who shares a cap, and who is a proxy."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]


def shared_by(peer: object, proxies: Networks) -> str | None:
    """The address or, with IPv6, the network that one customer has. None for a proxy and a Unix socket."""
    if not isinstance(peer, tuple | list) or not peer:
        return None
    try:
        ip = ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if any(ip in network for network in proxies):
        return None
    return str(ip) if ip.version == 4 else str(IPv6Network((ip, 64), strict=False))
