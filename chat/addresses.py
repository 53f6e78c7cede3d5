"""Client addresses in one canonical form, however a socket or a proxy writes them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

LONGEST = 64  # characters of one address, with its brackets, zone and port
HOPS = 32  # proxies between a browser and the server
FORWARDED = 2048  # characters of X-Forwarded-For that are read, counted from its end

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Networks = Sequence[Network]

_MAPPED = IPv6Network("::ffff:0:0/96")


@lru_cache(maxsize=4096)
def parse(text: str) -> Address | None:
    """The address in `203.0.113.7:50001`, `[2001:db8::1]:443`, `fe80::1%eth0` or `::ffff:203.0.113.7`.

    None if there is none.
    """
    if len(text) > LONGEST:
        return None
    text = text.strip().strip('"')
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, colon, port = text.partition(":")
        if not _is_port(colon + port):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6


def parse_network(text: str) -> Network:
    """An address or a network of a setting. Raises ValueError."""
    network = ip_network(text, strict=False)
    if network.version == 6 and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


def is_among(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def client(peer: str, forwarded: Sequence[str], trusted: Networks) -> Address | None:
    """The client behind the trusted proxies; None if the peer has no address, as on a Unix socket.

    `forwarded` has the lines of X-Forwarded-For in their order. Each proxy appends the address it was asked
    from, so the list is believed from its end, for as long as the addresses are those of trusted proxies.
    """
    address = parse(peer)
    if address is None or not is_among(address, trusted):
        return address
    for hop in _hops(forwarded):
        asked_from = parse(hop)
        if asked_from is None:
            break
        address = asked_from
        if not is_among(address, trusted):
            break
    return address


def _hops(lines: Sequence[str]) -> list[str]:
    """The last entries of the list, the nearest first; cut before it is split."""
    text = ",".join(lines[-HOPS:])
    hops = text[-FORWARDED:].rsplit(",", HOPS)
    if len(text) > FORWARDED or len(hops) > HOPS:
        del hops[0]  # only a part of an entry, or several
    return [hop.strip() for hop in reversed(hops) if hop.strip()]


def bucket(peer: str) -> str:
    """What limits count a peer as: an IPv4 address, or the /64 that one IPv6 customer has at least."""
    return bucket_of(parse(peer), peer)


def bucket_of(address: Address | None, otherwise: str = "") -> str:
    """As `bucket`, of an address that is parsed already."""
    if address is None:
        return otherwise[:LONGEST]
    return str(address) if address.version == 4 else str(IPv6Network((address, 64), strict=False))


WIDER = 4  # times as much from an IPv6 /48 as from one /64


@lru_cache(maxsize=4096)
def wider(bucket: str) -> str:
    """The /48 around the /64 of a bucket, since providers give out as much; empty for IPv4."""
    if not bucket.endswith("/64"):
        return ""
    return str(IPv6Network(bucket).supernet(new_prefix=48))
