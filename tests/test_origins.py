"""Which pages are ours, and under which hosts the chat may be asked for."""

from __future__ import annotations

import logging

import pytest
from people import FORM, Person
from quart import Quart
from quart.testing.connections import WebsocketResponseError

from chat import logs
from chat.app import create_app
from chat.origins import Host, behind_unknown_proxy, is_allowed, parse_allowed, parse_host, same_origin
from chat.settings import Misconfigured, Settings


def _same(origin: str, ours: str, **headers: str) -> bool:
    scheme, _, host = ours.partition("://")
    sent = {"Origin": origin} | {name.replace("_", "-"): value for name, value in headers.items()}
    return same_origin(sent, scheme, host, required=True)


# Origins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "ours"),
    [
        ("http://chat.example", "http://chat.example"),
        ("https://chat.example", "https://chat.example:443"),
        ("https://chat.example:443", "https://chat.example"),
        ("http://chat.example:80", "http://chat.example"),
        ("http://CHAT.example", "http://chat.EXAMPLE"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("http://my_chat:8000", "http://my_chat:8000"),
        ("http://example.com.", "http://example.com."),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_our_own_pages_are_recognised(origin: str, ours: str) -> None:
    assert _same(origin, ours)


@pytest.mark.parametrize(
    "origin",
    [
        "null", "", "http://evil.example", "http://chat.example.evil.example", "http://chat.example:8001",
        "chat.example", "http://chat.example@evil.example", "//", "http://", "http://[", "http://[::1",
        "javascript:0", "\0", "file://", "ftp://chat.example", "https://chat.example", "ws://chat.example",
        "http://chat.example:443", "http://chat.example/", "http://chat.example:", "http://chat.example.",
        "http://evil@chat.example", "http://chat.example, http://chat.example", "http:///chat.example",
        "http://chat.example#", "http://chat.example\\", "http://chat.example ", "http://" + "a" * 10**6,
    ],
)  # fmt: skip
def test_a_foreign_or_senseless_origin_is_not_ours(origin: str) -> None:
    assert not _same(origin, "http://chat.example")
    assert not _same(origin, "http://chat.example", Sec_Fetch_Site="same-origin")


@pytest.mark.parametrize("host", ["", "a b", "..", "é"])
def test_no_origin_is_that_of_a_host_which_is_none(host: str) -> None:
    assert not _same(f"http://{host}", f"http://{host}")


@pytest.mark.parametrize(
    ("site", "ours"),
    [(None, True), ("none", True), ("same-origin", True), ("same-site", False), ("cross-site", False)],
)
def test_without_an_origin_the_fetch_metadata_decide(site: str | None, ours: bool) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    assert same_origin(headers, "http", "chat.example") is ours


def test_sockets_need_an_origin() -> None:
    assert not same_origin({}, "http", "chat.example", required=True)
    assert not same_origin({"Sec-Fetch-Site": "same-origin"}, "http", "chat.example", required=True)


def test_a_page_that_came_through_an_unknown_proxy_is_told_from_a_foreign_one() -> None:
    assert behind_unknown_proxy({"Origin": "https://chat.example"}, "chat.example")
    assert behind_unknown_proxy({"Origin": "https://a.example", "Sec-Fetch-Site": "same-origin"}, "127.0.0.1")
    assert not behind_unknown_proxy({"Origin": "https://evil.example"}, "chat.example")
    assert not behind_unknown_proxy({"Origin": "ftp://chat.example"}, "chat.example")
    assert not behind_unknown_proxy({}, "chat.example")


# Hosts ------------------------------------------------------------------------------------------------

READABLE = {
    "chat.example": ("chat.example", None),
    "CHAT.example:8000": ("chat.example", 8000),
    "my_chat:8000": ("my_chat", 8000),
    "example.com.": ("example.com.", None),
    "xn--bcher-kva.example": ("xn--bcher-kva.example", None),
    "[::1]:8000": ("[::1]", 8000),
    "127.0.0.1": ("127.0.0.1", None),
    "a-b": ("a-b", None),
}
UNREADABLE = [
    "", ".", ":", ":80", "a..b", "a b", "bücher.example", "b\xc3\xbccher.example", "a:", "a:x", "a:99999",
    "[::1", "::1", "a/b", "a@b", "<b>", "-a", "a-", "x" * 3000, "a" * 256, "a\0", "a,b",
]  # fmt: skip


@pytest.mark.parametrize("text", READABLE)
def test_hosts_are_read_as_browsers_write_them(text: str) -> None:
    assert parse_host(text) == READABLE[text]


@pytest.mark.parametrize("text", UNREADABLE)
def test_what_is_no_host_is_none(text: str) -> None:
    assert parse_host(text) is None


@pytest.mark.parametrize(
    ("host", "scheme", "allowed"),
    [
        ("chat.example", "http", True),
        ("chat.example:8000", "http", True),
        ("CHAT.EXAMPLE.", "https", True),
        ("localhost:8000", "http", True),
        ("localhost", "http", False),
        ("talk.example", "https", True),
        ("talk.example", "http", False),
        ("xn--bcher-kva.example", "http", True),
        ("evil.example", "http", False),
        ("chat.example.evil.example", "http", False),
        ("[::1]:8000", "http", True),
    ],
)
def test_a_list_of_hosts_lets_in_those_and_no_other(host: str, scheme: str, allowed: bool) -> None:
    text = "chat.example, localhost:8000, talk.example:443, bücher.example,[::1]:8000,"
    hosts = Settings.from_env({"CHAT_HOSTS": text}).hosts
    found = parse_host(host)
    assert found is not None
    assert is_allowed(found, scheme, hosts) is allowed
    assert is_allowed(found, scheme, ())


def test_a_host_that_is_none_is_refused_at_the_start() -> None:
    for text in ["http://chat.example", "a b", "*.example", "a:b", "a\u2028b", "." * 300]:
        with pytest.raises(Misconfigured, match=r"CHAT_HOSTS: .*Use hosts such as"):
            Settings.from_env({"CHAT_HOSTS": text})
    assert parse_allowed("Example.com.") == Host("example.com", None)


@pytest.mark.parametrize("host", [*READABLE, *UNREADABLE])
async def test_pages_and_forms_both_work_under_a_host_or_neither(client: Person, host: str) -> None:
    """A page whose forms answer 403 is a riddle."""
    client.client = client.app.test_client(use_cookies=False)  # whose jar cannot read every host
    page = await client.ask("GET", "/", {"Host": host or " "})
    sent = {"Host": host or " ", "Origin": f"http://{host}", "Content-Type": FORM}
    form = await client.ask("POST", "/", sent, b"name=Ann&create=1")
    if host in READABLE:
        assert (page.status, form.status) == (200, 303)
    else:
        assert (page.status, form.status) == (400, 400)
        assert "not how the name of a host is written" in form.page.one(".lead").text
        assert (await client.ask("GET", "/healthz", {"Host": host or " "})).status == 200


# What the server says ---------------------------------------------------------------------------------


async def _app(settings: Settings, **env: str) -> Quart:
    return create_app(Settings.from_env({"CHAT_DATABASE_URL": settings.database_url, **env}))


async def test_another_host_than_the_listed_ones_is_refused(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = await _app(settings, CHAT_HOSTS="chat.example")
    async with app.test_app():
        person = Person(app, "Ann")
        caplog.set_level(logging.INFO, "chat")
        caplog.clear()
        for _ in range(30):
            reply = await person.ask("GET", "/", {"Host": "rebound.example"})
        assert reply.status == 421
        assert "CHAT_HOSTS" in reply.page.one(".lead").text
        (line,) = [r.message for r in caplog.records if "host-refused" in r.message]
        assert '"rebound.example"' in line
        assert "CHAT_HOSTS" in line
        assert (await person.ask("GET", "/", {"Host": "chat.example"})).status == 200
        assert (await person.ask("GET", "/healthz", {"Host": "10.0.0.1"})).status == 200
        async with person.live("anything") as live:
            with pytest.raises(WebsocketResponseError) as refused:
                await live.frame()
        assert refused.value.response.status_code == 421


async def test_a_form_through_an_unknown_proxy_says_what_to_do(
    client: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chat")
    for _ in range(30):
        reply = await client.post("/", {"name": "Ann", "create": "1"}, origin="https://chat.example")
    assert reply.status == 403
    said = reply.page.one(".lead").text
    assert "https://chat.example" in said
    assert "http://localhost" in said
    assert "CHAT_TRUSTED_PROXIES" in said
    assert "X-Forwarded-Proto" in said
    (line,) = [r.message for r in caplog.records if "origin-refused" in r.message]
    assert 'origin="https://chat.example"' in line
    assert 'expected="http://localhost"' in line
    assert "CHAT_TRUSTED_PROXIES" in line


async def test_a_page_whose_socket_comes_through_an_unknown_proxy_says_what_to_do(
    alice: Person, code: str
) -> None:
    for sent in (
        {"origin": "https://localhost"},
        {"origin": "http://other", "sec_fetch_site": "same-origin"},
    ):
        async with alice.live(code, **sent) as live:
            assert await live.ended() == 1008
        (frame,) = live.frames
        assert "CHAT_TRUSTED_PROXIES" in frame.one("[role=alert]").text
        assert not frame.all(".m")


def test_what_a_stranger_sends_makes_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chat")
    logs.event("x", said=logs.quoted("a\nb\x1b[31m é" + "y" * 10_000))
    assert caplog.messages[0].isascii()
    assert caplog.messages[0].isprintable()
    assert len(caplog.messages[0]) < 200


def test_repeated_lines_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    now = 100.0
    repeats = logs.Repeats(now=lambda: now)
    caplog.set_level(logging.INFO, "chat")
    for _ in range(500):
        repeats.event("x", n=1)
    now += logs.QUIET
    repeats.event("x", n=2)
    repeats.event("y")
    assert caplog.messages == ["x count=1 n=1", "x count=500 n=2", "y count=1"]
