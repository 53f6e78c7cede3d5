"""Peers by address: who shares a cap, and who is a proxy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chat.addresses import WIDER, Networks, bucket_of, client, is_among, parse, wider


def shared_by(peer: object, proxies: Networks) -> str | None:
    """The address or, with IPv6, the network that one customer has. None for a proxy and a Unix socket."""
    if not isinstance(peer, tuple | list) or not peer:
        return None
    address = parse(str(peer[0]))
    if address is None or is_among(address, proxies):
        return None
    return bucket_of(address)


def behind(peer: object, headers: Iterable[tuple[bytes, bytes]], proxies: Networks) -> str | None:
    """As `shared_by`, of the client that a proxy names. None for a proxy that names nobody."""
    if (address := shared_by(peer, proxies)) is not None or not isinstance(peer, tuple | list) or not peer:
        return address
    lines = [value.decode("latin1") for name, value in headers if name == b"x-forwarded-for"]
    found = client(str(peer[0]), lines, proxies)
    return None if found is None or is_among(found, proxies) else bucket_of(found)


def shares(address: str) -> Iterator[tuple[str, int]]:
    """What an address counts for: itself, and with IPv6 the /48 around it, with so many times the share."""
    yield address, 1
    if network := wider(address):
        yield network, WIDER
