"""Peers by address: who shares a cap, and who is a proxy."""

from __future__ import annotations

from chat.addresses import Networks, bucket_of, is_among, parse


def shared_by(peer: object, proxies: Networks) -> str | None:
    """The address or, with IPv6, the network that one customer has. None for a proxy and a Unix socket."""
    if not isinstance(peer, tuple | list) or not peer:
        return None
    address = parse(str(peer[0]))
    if address is None or is_among(address, proxies):
        return None
    return bucket_of(address)
