"""Who is asking, and from where."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from werkzeug.datastructures import Headers

from chat.visitors import ClientInfo, Identities, parse_client

PROXY = (ip_network("10.0.0.0/8"),)


@pytest.fixture
def identities() -> Identities:
    return Identities("a secret of sixteen or more")


# Identity ---------------------------------------------------------------------------------------------


def test_a_signed_person_is_recognised(identities: Identities) -> None:
    person = identities.new()
    assert identities.person(identities.sign(person)) == person


def test_no_two_people_are_the_same(identities: Identities) -> None:
    assert len({identities.new() for _ in range(1000)}) == 1000


def test_a_cookie_says_nothing_but_a_random_id(identities: Identities) -> None:
    person = identities.new()
    assert len(person) >= 16
    assert identities.sign(person).startswith(person)


@pytest.mark.parametrize(
    "cookie",
    [None, "", ".", "nonsense", "abc.def", "\0", "é.é", "x" * 10_000, "a" * 16 + "." + "b" * 27, "%00", "😀"],
)
def test_a_cookie_that_is_not_ours_is_nobody(identities: Identities, cookie: str | None) -> None:
    assert identities.person(cookie) is None


def test_a_changed_cookie_and_one_of_another_server_are_nobody(identities: Identities) -> None:
    cookie = identities.sign("the-person")
    assert identities.person("x" + cookie) is None
    assert identities.person(cookie[:-1] + ("A" if cookie[-1] != "A" else "B") + "A") is None
    assert Identities("another secret, as long").person(cookie) is None


# Where from -------------------------------------------------------------------------------------------


def _client(peer: str, **headers: str) -> ClientInfo:
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse_client(Headers(spelled), peer, "http", "chat.example", PROXY)


def test_without_a_proxy_the_peer_is_the_client() -> None:
    assert _client("192.0.2.7") == ("192.0.2.7", "http", "chat.example")


def test_what_a_stranger_says_of_itself_is_not_believed() -> None:
    said = _client(
        "192.0.2.7", X_Forwarded_For="1.1.1.1", X_Forwarded_Proto="https", X_Forwarded_Host="evil.example"
    )
    assert said == ("192.0.2.7", "http", "chat.example")


def test_a_trusted_proxy_is_believed() -> None:
    said = _client(
        "10.0.0.1", X_Forwarded_For="192.0.2.7", X_Forwarded_Proto="https", X_Forwarded_Host="talk.example"
    )
    assert said == ("192.0.2.7", "https", "talk.example")


def test_the_client_is_the_last_address_that_is_no_proxy() -> None:
    assert _client("10.0.0.1", X_Forwarded_For="6.6.6.6, 192.0.2.7, 10.0.0.2").address == "192.0.2.7"


def test_a_proxy_alone_is_its_own_client() -> None:
    assert _client("10.0.0.1").address == "10.0.0.1"
    assert _client("10.0.0.1", X_Forwarded_For="10.0.0.3, 10.0.0.2").address == "10.0.0.3"


@pytest.mark.parametrize("said", [",", " , ,", "unknown", "999.1.1.1", "\0", "x" * 5000, "192.0.2.7:4711"])
def test_nonsense_from_a_proxy_is_an_address_of_bounded_length(said: str) -> None:
    assert len(_client("10.0.0.1", X_Forwarded_For=said).address) <= 64


def test_every_line_of_a_proxy_counts_and_the_last_one_decides() -> None:
    """HAProxy adds a line of its own behind those that the client sent."""
    lines = Headers(
        [
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "talk.example"),
        ]
    )
    assert parse_client(lines, "10.0.0.1", "http", "x", PROXY) == ("192.0.2.7", "https", "talk.example")


def test_a_proxy_may_name_the_scheme_of_a_websocket() -> None:
    assert _client("10.0.0.1", X_Forwarded_Proto="wss").scheme == "https"
    assert _client("10.0.0.1", X_Forwarded_Proto="gopher").scheme == "http"
    assert parse_client(Headers(), "192.0.2.7", "wss", "x", PROXY).scheme == "https"


def test_a_household_s_ipv6_addresses_are_one() -> None:
    one, other = _client("2001:db8:1:2::1").address, _client("2001:db8:1:2:ffff::9").address
    assert one == other
    assert one != _client("2001:db8:1:3::1").address


@pytest.mark.parametrize("peer", ["", "<local>", "unix:", "fe80::1%eth0"])
def test_a_peer_without_an_address_is_no_error(peer: str) -> None:
    assert _client(peer).host == "chat.example"
