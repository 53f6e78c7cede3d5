"""Client addresses: one form for each, however it is written and however many proxies wrote it."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, ip_address

import pytest

from chat import limits
from chat.addresses import HOPS, bucket, client, parse, parse_network, wider
from chat.limits import Limits

TRUSTED = tuple(map(parse_network, ("10.0.0.0/8", "2001:db8:aaaa::/48", "::ffff:192.0.2.99")))


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:50001", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ('"203.0.113.7:50001"', "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::FFFF:cb00:7107", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:DB8:0::1]:50001", "2001:db8::1"),
        ('"[2001:db8::1]:50001"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
    ],
)
def test_an_address_is_understood_as_proxies_write_it(written: str, address: str) -> None:
    assert parse(written) == ip_address(address)


@pytest.mark.parametrize(
    "written",
    [
        "", "unknown", "_hidden", "-", "203.0.113.7:", "203.0.113.7:http", "203.0.113.7:1234567",
        "203.0.113.256", "203.0.113.7:٣", "[::1", "[::1]80", "[::1]:x", ":80", "2001:db8::1]:80",
        "1.1.1.1,2.2.2.2", "1.1.1.1 2.2.2.2", "\0", "é", "1" * 5000, "[" * 60, "010.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(written: str) -> None:
    assert parse(written) is None


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], "10.0.0.1"),
        (["203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (["6.6.6.6", "203.0.113.7", "10.0.0.2", "10.0.0.3"], "203.0.113.7"),
        (["6.6.6.6, 203.0.113.7:50001, [2001:db8:aaaa::9]:443"], "203.0.113.7"),
        (["203.0.113.7,::ffff:10.0.0.2"], "203.0.113.7"),
        (["203.0.113.7, 192.0.2.99"], "203.0.113.7"),
        (["203.0.113.7, , ,"], "203.0.113.7"),
        (["203.0.113.7", "", " "], "203.0.113.7"),
        (["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.7", "garbage"], "10.0.0.1"),
        (["10.0.0.9, 10.0.0.8"], "10.0.0.9"),
        (["2001:db8:1:2::3"], "2001:db8:1:2::3"),
    ],
)
def test_the_client_is_the_last_one_that_is_no_trusted_proxy(lines: list[str], found: str) -> None:
    assert client("10.0.0.1", lines, TRUSTED) == ip_address(found)
    assert client("::ffff:10.0.0.1", lines, TRUSTED) == ip_address(found)


def test_a_mapped_peer_is_the_proxy_that_it_is_and_one_client_among_many() -> None:
    assert client("::ffff:10.0.0.1", ["203.0.113.7"], TRUSTED) == ip_address("203.0.113.7")
    assert bucket("::ffff:203.0.113.7") == "203.0.113.7"
    assert bucket("::ffff:203.0.113.7") != bucket("::ffff:203.0.113.8")


def test_whatever_a_client_writes_before_its_proxies_changes_nothing() -> None:
    """For thousands of lists: the entries behind the last address that is not trusted are all that counts."""
    chance = random.Random(15)
    pieces = [
        "6.6.6.6",
        "10.0.0.7",
        "::1",
        "unknown",
        "",
        " ",
        "1.1.1.1:1",
        "[::1]:9",
        "\0",
        "x" * 900,
        "é",
        ",,",
    ]
    for _ in range(3000):
        one = str(IPv4Address(chance.randrange(0x0B000000, 0x7F000000)))
        port = f":{chance.randrange(1, 65536)}" if chance.random() < 0.5 else ""
        forged = [chance.choice(pieces) for _ in range(chance.randrange(0, 90))]
        proxies = [
            f"10.{chance.randrange(256)}.0.{chance.randrange(256)}" for _ in range(chance.randrange(4))
        ]
        entries = [*forged, one + port, *proxies]
        lines: list[str] = []
        while entries:
            count = chance.randrange(1, len(entries) + 1)
            lines.append(chance.choice([",", ", "]).join(entries[:count]))
            del entries[:count]
        assert client("10.0.0.1", lines, TRUSTED) == ip_address(one), lines


def test_a_list_without_end_is_cut_before_it_is_split() -> None:
    assert client("10.0.0.1", ["1.1.1.1"] + ["10.0.0.2"] * HOPS * 100, TRUSTED) == ip_address("10.0.0.2")
    assert client("10.0.0.1", ["1.1.1.1" + ",10.0.0.2" * HOPS], TRUSTED) == ip_address("10.0.0.2")
    assert client("10.0.0.1", ["203.0.113.7," + " " * 10**6], TRUSTED) == ip_address("10.0.0.1")
    cut = "9" * 2 + "10.0.0.2," + "10.0.0.2, " * 203 + "        "  # were it read, 10.0.0.2 would be its rest
    assert client("10.0.0.1", [cut], TRUSTED) == ip_address("10.0.0.2")


def test_an_ipv6_customer_counts_as_one_and_so_does_the_network_around() -> None:
    assert bucket("2001:db8:1:2::1") == bucket("[2001:db8:1:2:ffff::9]:443") == "2001:db8:1:2::/64"
    assert wider("2001:db8:1:2::/64") == wider("2001:db8:1:3::/64") == "2001:db8:1::/48"
    assert wider("203.0.113.7") == wider("") == wider("everybody") == ""


async def test_many_networks_of_one_ipv6_holder_share_a_wider_rate() -> None:
    now, rate = 0.0, limits.per_minute("tries", 20)
    taken = Limits(now=lambda: now)
    for n in range(4):
        for _ in range(20):
            assert not await limits.take_address(taken, rate, bucket(f"2001:db8:1:{n}::1"))
    assert await limits.take_address(taken, rate, bucket("2001:db8:1:ffff::1"))
    assert not await limits.take_address(taken, rate, bucket("2001:db8:2::1"))
    assert not await limits.take_address(taken, rate, bucket("203.0.113.7"))
    await limits.give_back_address(taken, rate, bucket("2001:db8:1:1::1"))
    assert not await limits.take_address(taken, rate, bucket("2001:db8:1:ffff::1"))


async def test_what_the_wider_rate_refuses_is_not_counted_for_the_address() -> None:
    rate = limits.per_minute("tries", 1)
    taken = Limits(now=lambda: 0.0)
    for n in range(4):
        assert not await limits.take_address(taken, rate, bucket(f"2001:db8:1:{n}::1"))
    assert await limits.take_address(taken, rate, last := bucket("2001:db8:1:9::1"))
    assert await taken.peek(rate, last) == 0


@pytest.mark.parametrize("written", ["::ffff:10.0.0.0/104", "::ffff:10.1.2.3/104"])
def test_a_network_of_mapped_addresses_is_the_ipv4_one(written: str) -> None:
    assert str(parse_network(written)) == "10.0.0.0/8"
