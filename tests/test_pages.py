"""Everything over HTTP: getting in, the room, posting, leaving, older pages, errors, headers, figures."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from hashlib import sha256
from ipaddress import ip_network
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

import calls
import pytest
from deployments import ON_BOTH
from dom import Element, parse
from people import ORIGIN, FakeClock, Person, Reply, Turn, notices, on_its_way, texts, until
from quart import Quart
from streams import read_until, streaming

from chat import limits
from chat.context import Context
from chat.features import ROOM_ACTIONS
from chat.live.connection import Close
from chat.model.codes import CODE_ALPHABET, grouped
from chat.model.rooms import Position
from chat.store import OutcomeUnknown, Unavailable
from chat.store.clock import ClockWatch
from chat.store.members import find_seat, take_seat
from chat.store.quota import Quota
from chat.store.visits import visit
from chat.store.write_probe import WriteProbe
from chat.views.links import linked
from chat.views.look import LOOK
from chat.views.people import OWN
from chat.web.headers import HEADERS
from chat.web.room import QR_PAGES

NOBODYS = "ZZZZ2222"  # a room that does not exist


def _alerts(page: Element) -> list[str]:
    return [alert.words for alert in page.all("[role=alert]")]


def _labelled(page: Element, name: str) -> Element:
    """The control of this name, which must have a label of its own."""
    control = page.one(f"[name={name}]")
    assert page.one(f"label[for={control.id}]").words
    return control


# Home -------------------------------------------------------------------------------------------------


async def test_home_is_one_form_with_name_code_two_buttons_and_what_enter_presses(client: Person) -> None:
    page = (await client.get("/")).page
    form = page.one("form")
    assert (form["method"], form["action"]) == ("post", "/")
    assert _labelled(page, "name").value == ""
    assert _labelled(page, "code").value == ""
    assert [(b["name"], b.words) for b in form.all("button")] == [
        ("go", "Go"),
        ("create", "Create a Room"),
        ("join", "Join a Room"),
    ]
    assert "autofocus" in page.one("[name=name]")
    assert page.one("html")["lang"] == "en"
    assert not page.has("script")


async def test_creating_a_room_leads_into_it(client: Person) -> None:
    reply = await client.post("/", {"name": "Ann", "code": "", "create": "1"})
    assert reply.status == 303
    code = reply.headers["Location"].removeprefix("/rooms/")
    assert len(code) == 12
    assert set(code) <= set(CODE_ALPHABET)
    page = await client.look(code)
    assert page.one("h1").words == f"Room {code[:4]}-{code[4:8]}-{code[8:]}"


async def test_creating_ignores_whatever_stands_in_the_code_field(client: Person) -> None:
    assert (await client.post("/", {"name": "Ann", "code": "nonsense", "create": "1"})).status == 303


async def test_joining_by_code_leads_into_the_room(alice: Person, client: Person) -> None:
    code = await alice.create()
    reply = await client.post("/", {"name": "Ann", "code": code, "join": "1"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


@pytest.mark.parametrize("change", [str.lower, lambda c: f" {c[:4]}-{c[4:].lower()} ", lambda c: " ".join(c)])
async def test_a_code_may_be_typed_carelessly(
    alice: Person, client: Person, change: Callable[[str], str]
) -> None:
    code = await alice.create()
    reply = await client.post("/", {"name": "Ann", "code": change(code), "join": "1"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")


@pytest.mark.parametrize(
    ("form", "field", "text"),
    [
        ({"name": "", "code": "", "create": "1"}, "name", "Please enter a name."),
        ({"name": "  ", "code": "BCDF2345", "create": "1"}, "name", "Please enter a name."),
        ({"name": "Ann", "code": "", "join": "1"}, "code", "Please enter a room code."),
        ({"name": "Ann", "code": " - ", "join": "1"}, "code", "Please enter a room code."),
        ({"name": "Ann", "code": NOBODYS, "join": "1"}, "code", "Room does not exist. Is a letter missing?"),
        (
            {"name": "Ann", "code": "no code", "join": "1"},
            "code",
            "Room does not exist. Is a letter missing?",
        ),
        ({"name": "Ann", "code": NOBODYS}, "code", "Room does not exist. Is a letter missing?"),
    ],
)
async def test_an_error_stands_beside_its_field(
    client: Person, form: dict[str, str], field: str, text: str
) -> None:
    reply = await client.post("/", form)
    page = reply.page
    assert reply.status == 422
    assert _alerts(page) == [text]
    faulty = _labelled(page, field)
    assert page.one(f"#{faulty['aria-describedby']}").words == text
    assert faulty["aria-invalid"] == "true"
    assert "autofocus" in faulty
    assert len(page.all("[autofocus]")) == 1
    assert {name: page.one(f"[name={name}]").value for name in ("name", "code")} == {
        name: form[name] for name in ("name", "code")
    }


async def test_two_errors_are_both_shown_and_the_first_field_has_the_focus(client: Person) -> None:
    page = (await client.post("/", {"name": "", "code": "", "join": "1"})).page
    assert _alerts(page) == ["Please enter a name.", "Please enter a room code."]
    assert page.one("[autofocus]")["name"] == "name"


async def test_an_existing_room_is_not_entered_without_a_name(alice: Person, client: Person) -> None:
    reply = await client.post("/", {"name": "", "code": await alice.create(), "join": "1"})
    assert reply.status == 422
    assert _alerts(reply.page) == ["Please enter a name."]
    assert reply.cookies == []


async def test_an_unfit_name_is_refused_on_both_ways_in(alice: Person, client: Person) -> None:
    for name in ["x" * 33, "A\u202eB", "A\0B", "\u3164"]:
        code = await alice.create()
        for reply in (
            await client.post("/", {"name": name, "create": "1"}),
            await client.post("/", {"name": name, "code": code, "join": "1"}),
            await client.post(f"/rooms/{code}", {"name": name}),
        ):
            assert reply.status == 422
            assert reply.page.one("[name=name]")["aria-invalid"] == "true"
            assert reply.cookies == []


async def test_a_name_full_of_markup_comes_back_as_text(client: Person) -> None:
    name = '"><script>alert(1)</script>' + "x" * 20
    page = (await client.post("/", {"name": name, "create": "1"})).page
    assert page.one("[name=name]").value == name
    assert not page.has("script")


# Invitations ------------------------------------------------------------------------------------------


async def test_a_stranger_is_asked_for_a_name_only(alice: Person, client: Person) -> None:
    code = await alice.create()
    await alice.write(code, "a secret")
    reply = await client.get(f"/rooms/{code}")
    page = reply.page
    assert reply.status == 200
    shown = [control for control in page.all("input") if control.attributes.get("type") != "hidden"]
    assert [control["name"] for control in shown] == ["name"]
    assert page.one("form")["action"] == f"/rooms/{code}"
    assert _labelled(page, "name")
    assert grouped(code) in page.words
    assert "a secret" not in reply.text
    assert "Alice" not in reply.text


async def test_an_invitation_is_accepted_with_a_name(alice: Person, client: Person) -> None:
    code = await alice.create()
    reply = await client.post(f"/rooms/{code}", {"name": " Ann "})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
    assert (await client.look(code)).has("#composer")


async def test_an_invitation_says_what_is_wrong_with_the_name(alice: Person, client: Person) -> None:
    code = await alice.create()
    reply = await client.post(f"/rooms/{code}", {"name": ""})
    page = reply.page
    assert reply.status == 422
    assert _alerts(page) == ["Please enter a name."]
    assert page.one("[name=name]")["aria-describedby"] == "name-error"
    assert page.one("form")["action"] == f"/rooms/{code}"


async def test_an_address_typed_carelessly_leads_to_the_room(alice: Person, client: Person) -> None:
    code = await alice.create()
    for person in (alice, client):
        reply = await person.get(f"/rooms/{code[:4].lower()}-{code[4:]}")
        assert (reply.status, reply.headers["Location"]) == (301, f"/rooms/{code}")


async def test_a_room_that_does_not_exist_is_a_page_with_a_way_home(client: Person) -> None:
    for code in [NOBODYS, "short", "way-too-long-for-a-code", "%20", "%00", "..", "%F0%9F%98%80"]:
        for reply in (
            await client.get(f"/rooms/{code}"),
            await client.post(f"/rooms/{code}", {"name": "Ann"}),
        ):
            assert reply.status == 404
            assert reply.page.one("main a[href=/]").words
            assert reply.page.one("h1").words == "This page or room does not exist."


# Identity ---------------------------------------------------------------------------------------------


def _cookie(reply: Reply) -> dict[str, str]:
    (line,) = reply.cookies
    parts = [part.strip().partition("=") for part in line.split(";")]
    return {name.lower(): value for name, _, value in parts}


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(client: Person) -> None:
    cookie = _cookie(await client.post("/", {"name": "Ann", "create": "1"}))
    assert "httponly" in cookie
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) > 180 * 24 * 3600
    assert "secure" not in cookie
    assert "domain" not in cookie
    (name,) = [name for name in cookie if name.startswith("chat-")]
    assert "Ann" not in cookie[name]


@pytest.fixture
def behind_proxy(app: Quart, chat: Context) -> None:
    settings = replace(chat.settings, rate_limit=True, trusted_proxies=(ip_network("10.0.0.0/8"),))
    app.extensions["chat"] = replace(chat, settings=settings)


@pytest.mark.usefixtures("behind_proxy")
async def test_behind_https_the_cookie_is_secure_and_the_link_is_https(app: Quart) -> None:
    ann = Person(app, "Ann", address="10.0.0.1")
    forwarded = {
        "x_forwarded_for": "192.0.2.9",
        "x_forwarded_proto": "https",
        "x_forwarded_host": "chat.example",
    }
    reply = await ann.post("/", {"name": "Ann", "create": "1"}, origin="https://chat.example", **forwarded)
    assert reply.status == 303
    assert "secure" in _cookie(reply)
    page = (await ann.get(reply.headers["Location"], **forwarded)).page
    assert page.one("header .copy").text == f"https://chat.example{reply.headers['Location']}"


@pytest.mark.usefixtures("behind_proxy")
async def test_a_stranger_who_claims_to_be_a_proxy_is_not_believed(client: Person) -> None:
    reply = await client.post("/", {"name": "Ann", "create": "1"}, x_forwarded_proto="https")
    assert "secure" not in _cookie(reply)
    refused = await client.post(
        "/", {"name": "Ann", "create": "1"}, origin="http://evil.example", x_forwarded_host="evil.example"
    )
    assert refused.status == 403


async def test_over_https_itself_the_cookie_is_secure(client: Person) -> None:
    sent = {"Origin": "https://localhost", "Content-Type": "application/x-www-form-urlencoded"}
    reply = await client.ask("POST", "/", sent, b"name=Ann&create=1", scheme="https")
    assert "secure" in _cookie(reply)


async def test_https_is_asked_for_again_but_only_where_it_was_used(client: Person) -> None:
    secure = await client.ask("GET", "/", scheme="https")
    assert secure.headers["Strict-Transport-Security"] == "max-age=15552000"
    assert "Strict-Transport-Security" not in (await client.get("/")).headers


@ON_BOTH
async def test_one_person_is_in_two_rooms_under_two_names(alice: Person) -> None:
    one, other = await alice.create("Ann"), await alice.create("Doctor Lee")
    await alice.write(one, "here")
    await alice.write(other, "there")
    assert (await alice.look(one)).one(".m .by bdi").text == "Ann"
    assert (await alice.look(other)).one(".m .by bdi").text == "Doctor Lee"
    assert len([cookie for cookie in alice.client.cookie_jar or () if cookie.name != "forms"]) == 1


@ON_BOTH
async def test_opening_home_in_another_tab_disturbs_nothing(alice: Person, bob: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        reply = await alice.get("/")
        assert reply.cookies == []
        await alice.create("Somebody else")
        await bob.write(code, "still there?")
        await live.until("li", "still there?")
        await live.say("yes")
        await live.until("li", "yes")
    assert await alice.texts(code) == ["still there?", "yes"]


@ON_BOTH
async def test_joining_again_changes_nothing(alice: Person, bob: Person, code: str) -> None:
    assert (await bob.post(f"/rooms/{code}", {"name": "Robert"})).status == 422  # and asks what is meant
    await bob.join(code, "Bob")
    await bob.write(code, "me")
    assert (await alice.look(code)).one(".m .by bdi").text == "Bob"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Ann", "Ann"),
        ("Ann", "ANN"),
        ("Ann", "Ａｎｎ"),
        ("Anna", "Аnnа"),
        ("Ian", "lan"),
        ("José", "Jose\u0301"),
    ],
)
@ON_BOTH
async def test_a_name_that_looks_like_another_is_marked_wherever_it_stands(
    app: Quart, client: Person, first: str, second: str
) -> None:
    original, twin = Person(app, first), Person(app, second)
    code = await original.create()
    await twin.join(code)
    await original.write(code, "mine")
    await twin.write(code, "mine too")
    await client.join(code, "Reader")
    one, other = (await client.look(code)).all("li.m .by")
    assert not one.has(".mark")
    assert other.one(".mark").text == "2"
    mine = await twin.look(code)
    assert mine.one("#roster li .mark").text == "2"


@ON_BOTH
async def test_a_name_stays_taken_after_its_person_left(app: Quart, alice: Person, code: str) -> None:
    await alice.write(code, "I was here")
    await alice.post(f"/rooms/{code}/leave")
    impostor = Person(app, "alice")
    await impostor.join(code)
    await impostor.write(code, "so was I")
    one, other = (await impostor.look(code)).all("li.m .by")
    assert not one.has(".mark")
    assert other.one(".mark").text == "2"


# The room ---------------------------------------------------------------------------------------------


async def test_the_room_shows_its_code_its_link_and_who_is_here(alice: Person, code: str) -> None:
    page = await alice.look(code)
    assert page.one("h1 .code").text == grouped(code)
    assert page.one("header .copy").text == f"{ORIGIN}/rooms/{code}"
    assert [line.words for line in page.all("#roster li")] == ["Alice"]
    assert page.one("#roster .count").text == "1"


async def test_the_code_and_the_link_are_selectable_in_one_click(alice: Person, code: str) -> None:
    page = await alice.look(code)
    sheet = next(link["href"] for link in page.all("link[rel=stylesheet]") if "/chat.css" in link["href"])
    css = (await alice.get(sheet)).text
    rules = [rule.partition("{") for rule in css.split("}")]
    select = " ".join(
        selector for selector, _, body in rules if "user-select: all" in body or "user-select:all" in body
    )
    assert ".code" in select
    assert ".copy" in select


async def test_in_an_older_browser_fields_have_borders_and_codes_are_selected(client: Person) -> None:
    sheet = (await client.get((await client.get("/")).page.all("link[rel=stylesheet]")[0]["href"])).text
    assert "--field:#" in sheet
    assert "light-dark(" not in sheet  # where it is unknown, a border of such a colour is none
    assert re.findall(r"-webkit-user-select:all;\s*user-select:all", sheet)


async def test_the_page_has_the_shape_that_other_programs_rely_on(alice: Person, code: str) -> None:
    page = await alice.look(code)
    assert len(page.all("[hx-ws:connect]")) == 1
    assert page.one("[hx-ws:connect]")["hx-ws:connect"] == f"/rooms/{code}/live"
    messages = page.one("section#messages")
    log = messages.one("div[role=log]")
    assert messages.has("ol#earlier")
    assert log.one("ol").id == "live"
    assert not log.has("#earlier")
    assert log["aria-label"]
    composer = page.one("form#composer")
    assert "hx-ws:send" in composer
    assert (composer["method"], composer["action"]) == ("post", f"/rooms/{code}/messages")
    assert composer.one("[name=body]").tag in {"input", "textarea"}
    assert composer.one("[name=body]")["maxlength"] == "25000"
    assert composer.one("[name=body]")["aria-label"]
    assert composer.one("[name=key]")["type"] == "hidden"
    assert composer.one("[name=acked]").value == "0"


async def test_a_screen_reader_finds_each_part_of_the_room_once(alice: Person, code: str) -> None:
    await alice.write(code, "hello")
    page = await alice.look(code)
    assert not page.has("main header")  # so it is the banner
    assert not page.has("main aside")
    (region,) = page.all("main [role=region]")
    assert (region.id, region["aria-label"]) == ("scroll", "Conversation")
    assert "aria-label" not in page.one("section#messages")
    (composer,) = page.all("main form[aria-label]")
    assert (composer.id, composer["aria-label"]) == ("composer", "Write a message")
    (roster,) = page.all("aside")
    assert (roster["aria-label"], roster["tabindex"]) == ("People here", "0")
    assert not roster.has("[aria-label]")
    sheet = page.one("#invitation h2")  # not there until it is opened
    headings = [(h.tag, h.words) for tag in ("h1", "h2") for h in page.all(tag) if h is not sheet]
    assert [tag for tag, _ in headings] == ["h1", "h2", "h2"]
    assert headings[2][1] == page.one(".m h2").words


async def test_what_is_said_is_put_into_regions_that_are_there_before(alice: Person, code: str) -> None:
    """A screen reader passes over a region that comes together with its text."""
    page = await alice.look(code)
    for id in ("notice", "hint"):
        region = page.one(f"#{id}")
        assert (region["role"], region.words) == ("status", "")


async def test_every_page_has_a_key_of_its_own(alice: Person, code: str) -> None:
    keys = {(await alice.look(code)).one("#composer [name=key]").value for _ in range(5)}
    assert len(keys) == 5


@ON_BOTH
async def test_messages_have_rising_ids_that_are_theirs_for_ever(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "one")
    await bob.write(code, "two")
    items = (await alice.look(code)).all("#earlier li[id]")
    ids = [int(item.id.removeprefix("message-")) for item in items]
    assert ids == sorted(set(ids))
    await bob.write(code, "three")
    assert [item.id for item in (await bob.look(code)).all("#earlier li[id]")][:2] == [
        item.id for item in items
    ]


async def test_ids_on_a_page_are_unique(alice: Person, code: str) -> None:
    await alice.write(code, "one", "two")
    ids = [element.id for element in (await alice.look(code)).walk() if element.id]
    assert len(ids) == len(set(ids))


@ON_BOTH
async def test_own_messages_are_known_by_the_stylesheet_of_their_member_only(
    alice: Person, bob: Person, code: str
) -> None:
    await alice.write(code, "mine")
    (hers,) = [link["href"] for link in (await alice.look(code)).all("link") if "/seats/" in link["href"]]
    (his,) = [link["href"] for link in (await bob.look(code)).all("link") if "/seats/" in link["href"]]
    author = (await alice.look(code)).one("li.m")["data-by"]
    style = await alice.get(hers)
    assert f'[data-by="{author}"]' in style.text
    assert f'[data-by="{author}"]' not in (await bob.get(his)).text
    assert style.headers["Content-Type"] == "text/css; charset=utf-8"
    assert "immutable" in style.headers["Cache-Control"]


@ON_BOTH
async def test_the_stylesheet_of_a_member_is_kept_under_the_version_of_its_content_alone(
    alice: Person, code: str
) -> None:
    def own(page: Element) -> str:
        (style,) = [link["href"] for link in page.all("link") if "/seats/" in link["href"]]
        return style

    await alice.write(code, "mine")
    room = await alice.look(code)
    id = room.one("#earlier li[data-by]")["id"].removeprefix("message-")
    address = own(room)
    pages = [await alice.get(f"/rooms/{code}/{id}"), await alice.get(f"/rooms/{code}?before=9")]
    assert {own(reply.page) for reply in pages} == {address}
    assert address.split("/")[2] == sha256(OWN.encode()).hexdigest()[:10]
    seats = address.rpartition("/")[2]
    for other in (f"/seats/{seats}", f"/seats/0123456789/{seats}"):  # a page of another release asks for it
        style = await alice.get(other)
        assert style.text == (await alice.get(address)).text
        assert style.headers["Cache-Control"] == "no-cache"


@ON_BOTH
async def test_everybody_s_messages_are_the_same_html(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "hers")
    await bob.write(code, "his")

    def lines(reply: Reply) -> list[str]:
        return re.findall(r"<li id=\"message-.*", reply.text)

    assert lines(await alice.get(f"/rooms/{code}")) == lines(await bob.get(f"/rooms/{code}")) != []


async def test_only_seat_numbers_make_a_stylesheet(client: Person) -> None:
    for seats in ["", "a", "1.", "1.x", "-1", "1" * 10, "٣", ".".join(["1"] * 101), "1%22%5D%7B%7D"]:
        assert (await client.get(f"/seats/{quote(seats, safe='%')}.css")).status == 404


async def test_the_day_stands_before_its_first_message(alice: Person, code: str, clock: FakeClock) -> None:
    await alice.write(code, "one", "two")
    clock.pass_by(24 * 3600)
    await alice.write(code, "three")
    items = (await alice.look(code)).all("#earlier li[id]")
    assert [item.has("h2") for item in items] == [True, False, True]
    assert [day["href"].rpartition("/")[2] for day in items[0].all("h2 a") + items[2].all("h2 a")] == [
        "2027-01-15",
        "2027-01-16",
    ]
    assert items[2].one("h2").words == "Saturday, 16 January 2027"


@ON_BOTH
async def test_messages_of_one_person_within_five_minutes_are_one_group(
    alice: Person, bob: Person, code: str, clock: FakeClock
) -> None:
    await alice.write(code, "one")
    clock.pass_by(300)
    await alice.write(code, "two")
    clock.pass_by(301)
    await alice.write(code, "three")
    await bob.write(code, "four")
    await alice.write(code, "five")
    items = (await alice.look(code)).all("#earlier li[id]")
    assert ["on" in item.classes for item in items] == [False, True, False, False, False]


async def test_times_are_utc_and_machines_can_read_them(alice: Person, code: str) -> None:
    await alice.write(code, "now")
    page = await alice.look(code)
    time = page.one("li .by time")
    assert (time["datetime"], time.text) == ("2027-01-15T08:16:40Z", "08:16")
    assert "UTC" in page.one("#messages").words


async def test_line_breaks_are_kept_and_the_direction_is_the_text_s_own(alice: Person, code: str) -> None:
    await alice.write(code, "one\r\n  two\n\nthree")
    text = (await alice.look(code)).one("li .text")
    assert text.text == "one\n  two\n\nthree"
    assert text["dir"] == "auto"
    sheet = next(link["href"] for link in (await alice.look(code)).all("link[rel=stylesheet]"))
    assert re.search(r"\.text\b[^{}]*\{[^}]*white-space:\s*pre-wrap", (await alice.get(sheet)).text)


LINKS = {
    "see https://example.com/a?b=1&c=2 now": ["https://example.com/a?b=1&c=2"],
    "(https://example.com/x).": ["https://example.com/x"],
    "https://en.wikipedia.org/wiki/Foo_(bar)": ["https://en.wikipedia.org/wiki/Foo_(bar)"],
    "HTTP://EXAMPLE.COM": ["HTTP://EXAMPLE.COM"],
    "http://a.example http://b.example": ["http://a.example", "http://b.example"],
    "http://[::1]:8000/x": ["http://[::1]:8000/x"],
    "https://münchen.example/straße": ["https://münchen.example/straße"],
    "<https://example.com>": ["https://example.com"],
    '"https://example.com"onmouseover="x"': ["https://example.com"],
    "javascript:alert(1) data:text/html,x ftp://x file:///etc": [],
    "https:// http://. http://[": [],
    "https://example.com/" + ")" * 3000: ["https://example.com/"],
}


@pytest.mark.parametrize("text", LINKS)
def test_web_addresses_are_links_that_give_nothing_away(text: str) -> None:
    shown = parse(linked(text))
    assert shown.text == text
    assert [link["href"] for link in shown.all("a")] == LINKS[text]
    assert [link.text for link in shown.all("a")] == LINKS[text]
    assert {link["rel"] for link in shown.all("a")} <= {"noopener noreferrer nofollow ugc"}


async def test_a_link_in_the_room_is_one_that_gives_nothing_away(alice: Person, code: str) -> None:
    await alice.write(code, "see https://example.com/a?b=1&c=2 now")
    link = (await alice.look(code)).one("li .text a")
    assert link["href"] == link.text == "https://example.com/a?b=1&c=2"
    assert link["rel"] == "noopener noreferrer nofollow ugc"


XSS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "'><iframe srcdoc='<script>alert(1)</script>'>",
    "</textarea><script>alert(1)</script>",
    "</li></ol><form action=//evil.example>",
    "<hx-partial hx-target=body hx-swap=innerHTML>gone</hx-partial>",
    '<div hx-get="/" hx-trigger="load" hx-on:load="alert(1)">',
    "<a href=javascript:alert(1)>x</a>",
    "{{ 7 * 7 }}{% raw %}",
    "<!--", "--><b>", "]]>", "<![CDATA[", "&lt;b&gt;&amp;", "&#60;script&#62;",
    "<plaintext>", "<base href=//evil.example>", "<meta http-equiv=refresh content=0>",
    "https://example.com/\"onmouseover=alert(1)//", "https://example.com/'><script>alert(1)</script>",
    "https://example.com/?<script>", "http://x\u2028y", "\u202eevil", "%3Cscript%3E",
]  # fmt: skip
TAGS = {"li", "div", "h2", "p", "bdi", "time", "data", "a", "sup", "small", "label", "input"}


async def test_no_text_is_ever_markup(alice: Person, bob: Person, code: str, clock: FakeClock) -> None:
    async with bob.in_room(code) as live:
        for text in XSS:
            clock.pass_by(1)
            await alice.write(code, text)
            pushed = await live.until("li.m")
            shown = (await bob.look(code)).all("#earlier li.m")[-1]
            for item in (pushed, shown):
                assert item.one(".text").text == text
                assert {element.tag for element in item.walk()} <= TAGS, text
                names = {name for element in item.walk() for name in element.attributes}
                assert not [name for name in names if name.startswith(("on", "hx"))], text
                assert all(urlsplit(link["href"]).scheme in {"http", "https"} for link in item.all(".text a"))
                ours = [link["href"] for link in item.all("a") if link not in item.all(".text a")]
                days = [link["href"] for link in item.all("h2 a")]
                assert days in ([], [f"/rooms/{code}/on/2027-01-15"])
                assert ours == [*days, f"/rooms/{code}/{item['id'].removeprefix('message-')}"]
            draft = await alice.post(f"/rooms/{code}/composer", {"body": text, "lines": "many"})
            assert draft.page.one("#texts textarea").value == text


async def test_no_name_is_ever_markup(
    app: Quart, alice: Person, code: str, chat: Context, clock: FakeClock
) -> None:
    names = [text for text in XSS if len(text) <= 32 and not set(text) & set("\u202e\u2028")]
    assert len(names) > 10
    async with alice.in_room(code) as live:
        for name in names:
            villain = Person(app, name)
            await villain.join(code)
            async with villain.in_room(code):
                clock.pass_by(100)
                await chat.presence.tick()
                await villain.write(code, f"hello from {name}")
                message = await live.until("li[data-by] .text", name)
                assert message.parent
                assert message.parent.one(".by bdi").text == name
                page = await alice.look(code)
                assert name in [label.text for label in page.all("#roster bdi")]
                assert name in [label.text for label in page.all("li.notice bdi")]
                for part in (page.one("#roster"), page.one("#messages"), *live.frames):
                    assert not part.has("script")
                    assert not part.has("img")
                    assert not [
                        n for element in part.walk() for n in element.attributes if n.startswith("on")
                    ]


# Posting by form --------------------------------------------------------------------------------------


@ON_BOTH
async def test_a_form_post_leads_back_to_the_room(alice: Person, code: str) -> None:
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "hello", "key": "k1", "acked": "0"})
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}")
    assert await alice.texts(code) == ["hello"]


@ON_BOTH
@pytest.mark.parametrize("form", ["messages", "composer"])
async def test_the_address_of_a_form_leads_back_to_the_room(alice: Person, code: str, form: str) -> None:
    """WebKit asks for it when somebody reloads the error page of a form that did not get through."""
    reply = await alice.get(f"/rooms/{code}/{form}")
    assert reply.status == 303
    assert reply.headers["Location"] == f"/rooms/{code}"


async def test_the_address_of_a_form_leads_nowhere_else(alice: Person) -> None:
    reply = await alice.get("/rooms/%5C%5Cevil.example%3F%0d%0aX:y/messages")
    assert reply.status == 303
    assert reply.headers["Location"].startswith("/rooms/%5C%5Cevil.example%3F")
    assert "X" not in reply.headers


async def test_a_double_post_of_one_form_is_stored_once(alice: Person, code: str) -> None:
    for _ in range(3):
        reply = await alice.post(f"/rooms/{code}/messages", {"body": "hello", "key": "k1", "acked": "0"})
        assert reply.status == 303
    assert await alice.texts(code) == ["hello"]


@ON_BOTH
async def test_another_text_under_the_same_key_is_not_lost(alice: Person, code: str) -> None:
    for body in ("one", "two"):
        await alice.post(f"/rooms/{code}/messages", {"body": body, "key": "k1", "acked": "0"})
    assert await alice.texts(code) == ["one", "two"]


@ON_BOTH
async def test_the_same_text_after_an_acknowledged_one_is_another_message(alice: Person, code: str) -> None:
    for acked in ("0", "1", "1"):
        await alice.post(f"/rooms/{code}/messages", {"body": "ha", "key": "k1", "acked": acked})
    assert await alice.texts(code) == ["ha", "ha"]


@ON_BOTH
async def test_the_same_key_of_two_people_is_two_keys(alice: Person, bob: Person, code: str) -> None:
    for person in (alice, bob):
        await person.post(f"/rooms/{code}/messages", {"body": "same", "key": "k1"})
    assert await alice.texts(code) == ["same", "same"]


async def test_curl_needs_no_key_and_no_origin(alice: Person, code: str) -> None:
    for _ in range(2):
        assert (await alice.post(f"/rooms/{code}/messages", {"body": "hi"}, origin="")).status == 303
    assert await alice.texts(code) == ["hi", "hi"]


@ON_BOTH
async def test_several_texts_of_one_form_keep_their_order(alice: Person, code: str) -> None:
    form = [("key", "k1"), ("acked", "0"), ("body", "one"), ("body", "two"), ("body", "three")]
    for _ in range(2):
        assert (await alice.post(f"/rooms/{code}/messages", form)).status == 303
    assert await alice.texts(code) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "Please write something first."),
        (" \r\n ", "Please write something first."),
        ("\u200b\ufeff\u0301", "Please write something first."),
        ("漢" * 2731, "Not sent: 1 character too long. Shorten it or send it in two parts."),
        ("x\n" * 4097, "Not sent: 1 character too long. Shorten it or send it in two parts."),
    ],
    ids=["empty", "blank", "invisible", "8193 bytes", "many lines"],
)
async def test_a_refused_text_comes_back_with_the_reason(
    alice: Person, code: str, body: str, reason: str
) -> None:
    reply = await alice.post(f"/rooms/{code}/messages", {"body": body, "key": "k1"})
    assert reply.status == 422
    assert _alerts(reply.page) == [reason]
    assert reply.page.one("#texts [name=body]").value.replace("\r\n", "\n") == body.replace("\r\n", "\n")
    assert await alice.texts(code) == []


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀", "\n"])
async def test_a_text_far_too_long_comes_back_whole(alice: Person, code: str, letter: str) -> None:
    """maxlength counts UTF-16 units and lets 25,000 of them pass; a line end is sent as two."""
    units = len(letter.encode("utf-16-le")) // 2
    body = "a" + letter * (24_998 // units) + "b"
    reply = await alice.post(f"/rooms/{code}/messages", {"body": body.replace("\n", "\r\n"), "key": "k1"})
    assert reply.status == 422
    assert reply.page.one("#texts [name=body]").value.replace("\r\n", "\n") == body


@ON_BOTH
async def test_a_text_of_exactly_8_kib_is_taken(alice: Person, code: str) -> None:
    await alice.write(code, "x" * 8192)
    assert [len(text) for text in await alice.texts(code)] == [8192]


@ON_BOTH
async def test_a_text_of_nothing_but_nul_is_refused_and_within_a_text_it_vanishes(
    alice: Person, code: str
) -> None:
    assert (await alice.post(f"/rooms/{code}/messages", {"body": "\0\0"})).status == 422
    await alice.write(code, "a\0b\x1b[31mc")
    assert await alice.texts(code) == ["ab[31mc"]


async def test_too_fast_a_writer_is_told_politely_and_keeps_the_text(
    alice: Person, code: str, clock: FakeClock
) -> None:
    await alice.write(code, *(f"m{n}" for n in range(10)))
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "the eleventh", "key": "k"})
    assert reply.status == 429
    assert _alerts(reply.page) == ["Not sent yet: a few too many at once. Please try again in a second."]
    assert reply.page.one("#texts [name=body]").value == "the eleventh"
    clock.pass_by(0.2)
    await alice.write(code, "the eleventh")
    assert (await alice.texts(code))[-1] == "the eleventh"


@ON_BOTH
async def test_another_person_may_write_meanwhile(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, *(f"m{n}" for n in range(10)))
    await bob.write(code, "me too")


@pytest.mark.parametrize("failure", [Unavailable("away"), OutcomeUnknown("perhaps")])
async def test_a_text_that_could_not_be_stored_comes_back(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    monkeypatch.setattr(chat.store, "append", on_its_way(_failing(failure)))
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "precious", "key": "k"})
    assert reply.status == 503
    assert reply.page.one("#texts [name=body]").value == "precious"
    for nothing in (visit, find_seat):
        calls.intercept(monkeypatch, chat.store, nothing, _failing(Unavailable("away")))
        reply = await alice.post(f"/rooms/{code}/messages", {"body": "precious", "key": "k"})
        assert reply.status == 503
        assert "precious" in reply.page.one("textarea").value


@pytest.mark.parametrize("readable", [True, False])
async def test_a_text_whose_outcome_is_unknown_is_sent_again_by_the_form_that_comes_back_and_stored_once(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, readable: bool
) -> None:
    append = chat.store.append

    async def answer_lost(*arguments: Any) -> Any:
        await append(*arguments)
        raise OutcomeUnknown("perhaps")

    with monkeypatch.context() as while_away:
        while_away.setattr(chat.store, "append", answer_lost)
        if not readable:
            while_away.setattr(chat.store, "snapshot", _failing(Unavailable("away")))
        reply = await alice.post(
            f"/rooms/{code}/messages", [("body", "done"), ("body", "precious"), ("key", "k"), ("acked", "4")]
        )
        assert reply.status == 503
    (form,) = [form for form in reply.page.all("form") if form["action"].endswith("/messages")]
    fields = [(field["name"], field.value) for field in form.all("[name]")]
    assert (await alice.post(form["action"], fields)).status == 303
    assert await alice.texts(code) == ["done", "precious"]


@ON_BOTH
async def test_a_stranger_cannot_post_read_on_or_switch(alice: Person, client: Person, code: str) -> None:
    await alice.write(code, "secret")
    for reply in (
        await client.post(f"/rooms/{code}/messages", {"body": "hello"}),
        await client.post(f"/rooms/{code}/composer", {"body": "hello"}),
        await client.get(f"/rooms/{code}/earlier"),
        await client.get(f"/rooms/{code}/stream"),
        await client.get(f"/rooms/{NOBODYS}/earlier"),
    ):
        assert reply.status == 403
        assert "secret" not in reply.text
    assert await alice.texts(code) == ["secret"]


async def test_a_forged_cookie_is_nobody_s(alice: Person, client: Person, code: str) -> None:
    (cookie,) = list(alice.client.cookie_jar or ())
    assert cookie.value
    forged = "AAAA" + cookie.value[4:]
    assert not (await client.get(f"/rooms/{code}", cookie=f"chat={forged}")).page.has("#composer")
    assert (await client.get(f"/rooms/{code}", cookie=f"chat={cookie.value}")).page.has("#composer")


# The composer's switch --------------------------------------------------------------------------------


async def test_the_switch_to_many_lines_keeps_the_draft_without_a_script(alice: Person, code: str) -> None:
    form = {"body": "my draft", "lines": "many", "key": "k", "acked": "0"}
    page = (await alice.post(f"/rooms/{code}/composer", form)).page
    assert page.one("#texts textarea").value == "my draft"
    assert page.one("#switch")["value"] == "one"
    page = (await alice.post(f"/rooms/{code}/composer", form | {"lines": "one"})).page
    assert page.one("#texts input").value == "my draft"
    assert page.one("#switch")["value"] == "many"


async def test_the_switch_with_a_script_sends_only_what_changes(alice: Person, code: str) -> None:
    form = {"body": "my draft", "lines": "many", "spare": "3"}
    fragment = (await alice.post(f"/rooms/{code}/composer", form, hx_request="true")).page
    field = fragment.one("textarea[name=body][hx-preserve]")
    assert (field.id, field.value) == ("spare-3", "my draft")
    assert fragment.one("hx-partial[hx-swap=outerMorph] textarea").value == "my draft"
    assert not fragment.one("hx-partial[hx-swap=outerSync] textarea").id
    assert fragment.one("hx-partial[hx-target=#spare] input").id == "spare-4"
    assert fragment.one("hx-partial[hx-target=#switch] button")["hx-vals"] == '{"spare":"4"}'
    assert fragment.one("hx-partial[hx-target=#switch] button")["value"] == "one"
    blank = unquote(fragment.one("hx-partial[hx-target=#blank] i")["hx-get"])
    assert blank.startswith("data:text/html;charset=utf-8,<textarea")
    assert not fragment.has("html")


@pytest.mark.parametrize("draft", ["", "\n", "\nled and trailed by a line\n\n", "50% \"' & </textarea> 😀"])
async def test_the_switch_keeps_every_character_of_a_draft(alice: Person, code: str, draft: str) -> None:
    form = {"body": draft, "lines": "many"}
    fragment = (await alice.post(f"/rooms/{code}/composer", form, hx_request="true")).page
    assert fragment.one("textarea[name=body][hx-preserve]").value == draft
    assert fragment.one("hx-partial[hx-swap=outerMorph] textarea").value == draft


@pytest.mark.parametrize("draft", ["eggs\nmilk", "eggs\r\nmilk", "eggs\nmilk\n"])
async def test_back_to_one_line_the_words_of_two_stay_apart(alice: Person, code: str, draft: str) -> None:
    form = {"body": draft, "lines": "one"}
    fragment = (await alice.post(f"/rooms/{code}/composer", form, hx_request="true")).page
    assert fragment.one("input[name=body][hx-preserve]").value == "eggs milk"


async def test_a_draft_of_several_lines_is_shown_in_a_box_of_several_lines(alice: Person, code: str) -> None:
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "x" * 8000 + "\ny" * 200, "key": "k"})
    assert reply.status == 422
    assert reply.page.one("#texts [name=body]").tag == "textarea"


async def test_the_next_control_is_in_the_page_and_like_the_one_it_shows(alice: Person, code: str) -> None:
    page = await alice.look(code)
    kind, _, text = page.one("#blank")["hx-get"].partition(",")
    assert kind == "data:text/html;charset=utf-8"
    blank, shown = parse(unquote(text)).one("[name=body]"), page.one("#texts [name=body]")
    assert blank.attributes == shown.attributes
    assert "required" not in shown  # WebKit empties what is on its way after Back, which would stop the form


# Leaving ----------------------------------------------------------------------------------------------


async def test_the_picture_of_the_link_is_for_members(alice: Person, bob: Person, code: str) -> None:
    address = f"/rooms/{code}/qr.svg"
    assert (await alice.look(code)).one("#invitation img")["src"] == address
    reply = await alice.get(address)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/svg+xml")
    assert reply.body.startswith(b"<svg")
    assert reply.headers["Cache-Control"] == "private, max-age=3600", "a proxy may keep any .svg"
    await bob.post(f"/rooms/{code}/leave")
    assert (await bob.get(address)).status == 403


async def test_pictures_of_links_have_the_rate_of_pages(alice: Person, code: str) -> None:
    """Each costs as much as some pages: a client that makes up hosts has a new one made each time."""
    statuses = [(await alice.get(f"/rooms/{code}/qr.svg", host=f"h{n}.example")).status for n in range(20)]
    assert statuses == [200] * (limits.PAGES.burst // QR_PAGES) + [429] * (
        20 - limits.PAGES.burst // QR_PAGES
    )


async def test_a_messenger_sees_what_an_invitation_is_to(alice: Person, bob: Person, code: str) -> None:
    await alice.post(f"/rooms/{code}/title", {"title": 'Regatta "26"', "topic": "Start 11:00"})
    page = (await Person(bob.app, "Eve").get(f"/rooms/{code}")).page
    said = {tag["property"]: tag["content"] for tag in page.all("meta[property]")}
    assert said.pop("og:image").startswith(f"{ORIGIN}/static/")
    assert said == {
        "og:type": "website",
        "og:title": 'Regatta "26"',
        "og:description": "Start 11:00",
    }


async def test_a_phone_can_install_it(client: Person) -> None:
    page = (await client.get("/")).page
    reply = await client.get(page.one("link[rel=manifest]")["href"])
    assert reply.headers["Content-Type"] == "application/manifest+json"
    manifest = json.loads(reply.text)
    assert manifest["start_url"] == "/"
    icons = [page.one("link[rel=apple-touch-icon]")["href"]]
    icons += [urljoin(page.one("link[rel=manifest]")["href"], icon["src"]) for icon in manifest["icons"]]
    for icon in icons:
        assert (await client.get(icon)).headers["Content-Type"].startswith("image/")


@ON_BOTH
async def test_leaving_ends_the_seat_and_is_announced_and_history_stays(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "I was here")
    asked = (await alice.get((await alice.look(code)).one("a.leave")["href"])).page
    assert asked.one(f"form[action=/rooms/{code}/leave] button").words == "Leave for good"
    reply = await bob.post(f"/rooms/{code}/leave")
    assert (reply.status, reply.headers["Location"]) == (303, "/")
    page = await alice.look(code)
    assert texts(page) == ["I was here"]
    assert notices(page) == ["Bob left for good"]
    assert not (await bob.look(code)).has("#composer")
    assert (await bob.post(f"/rooms/{code}/messages", {"body": "x"})).status == 403
    assert (await bob.post(f"/rooms/{code}/leave")).status == 303
    assert notices(await alice.look(code)) == ["Bob left for good"]


@ON_BOTH
async def test_who_left_may_come_back_and_is_known_by_the_old_messages(
    alice: Person, bob: Person, code: str
) -> None:
    await bob.write(code, "before")
    await bob.post(f"/rooms/{code}/leave")
    await bob.join(code, "Robert")
    await bob.write(code, "after")
    page = await bob.look(code)
    (own,) = [link["href"] for link in page.all("link") if "/seats/" in link["href"]]
    style = (await bob.get(own)).text
    assert all(f'[data-by="{item["data-by"]}"]' in style for item in page.all("#earlier li.m[data-by]"))
    assert texts(await alice.look(code)) == ["before", "after"]


@ON_BOTH
async def test_leaving_one_room_leaves_no_other(alice: Person, code: str) -> None:
    other = await alice.create()
    await alice.post(f"/rooms/{code}/leave")
    assert (await alice.look(other)).has("#composer")


# Older pages ------------------------------------------------------------------------------------------


@pytest.fixture
async def long_room(alice: Person, code: str, chat: Context) -> str:
    """A room with 120 messages."""
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(120)))
    return code


@ON_BOTH
async def test_a_page_shows_fifty_messages_and_a_way_to_older_ones(alice: Person, long_room: str) -> None:
    page = await alice.look(long_room)
    assert texts(page) == [f"m{n}" for n in range(70, 120)]
    link = page.one("#older a")
    older = (await alice.get(link["href"])).page
    assert texts(older) == [f"m{n}" for n in range(20, 70)]
    oldest = (await alice.get(older.one("#older a")["href"])).page
    assert texts(oldest) == [f"m{n}" for n in range(20)]
    assert not oldest.has("#older a[hx-get]")
    assert oldest.one("#older").words.startswith("This is where")


@ON_BOTH
async def test_of_the_messages_of_a_page_only_the_last_says_how_far_it_goes(
    alice: Person, long_room: str
) -> None:
    items = (await alice.look(long_room)).all("#earlier li")
    assert [len(item.all("data")) for item in items] == [0] * 49 + [1]
    assert items[-1].one("data[name=since]")["value"] == items[-1].id.removeprefix("message-")


async def test_an_older_page_has_a_way_back_and_is_not_live(alice: Person, long_room: str) -> None:
    page = await alice.look(long_room, "?before=60")
    assert page.one(f"a.button[href=/rooms/{long_room}]")
    assert not page.has("[hx-ws:connect]")
    assert not page.has("#composer")
    assert not page.has("script")
    assert not page.has("iframe")


@ON_BOTH
async def test_older_messages_come_as_a_fragment_for_the_page_that_scrolls(
    alice: Person, long_room: str
) -> None:
    link = (await alice.look(long_room)).one("#older a")
    fragment = (await alice.get(link["hx-get"], hx_request="true")).page
    assert texts(fragment) == [f"m{n}" for n in range(20, 70)]
    assert fragment.one("hx-partial[hx-target=#earlier]")["hx-swap"] == "afterbegin"
    assert fragment.one("#older a")["hx-get"] != link["hx-get"]
    assert not fragment.has("html")


async def test_a_senseless_before_is_no_error(alice: Person, long_room: str) -> None:
    for before in ("abc", "-1", "0", "9e99", "", "9" * 30, "9" * 5000, "1.5", "%00", "%FF", "%D9%A1", "null"):
        for path in (f"/rooms/{long_room}", f"/rooms/{long_room}/earlier"):
            assert (await alice.get(f"{path}?before={before}")).status == 200, before


@ON_BOTH
async def test_before_a_message_that_never_was_there_is_nothing(alice: Person, long_room: str) -> None:
    assert texts(await alice.look(long_room, "?before=1")) == []


# The live page without JavaScript ---------------------------------------------------------------------


def _streaming(person: Person, code: str) -> AbstractAsyncContextManager[Any]:
    return streaming(person, f"/rooms/{code}/stream", **{"Accept-Encoding": "gzip"})


async def test_the_room_offers_the_live_page_where_scripts_are_off(alice: Person, code: str) -> None:
    page = await alice.look(code)
    frame = page.one("noscript iframe")
    assert frame["src"] == f"/rooms/{code}/stream"
    assert frame["title"]
    assert page.one("head noscript link")["href"].endswith("/noscript.css")


@ON_BOTH
async def test_the_live_page_shows_history_and_then_what_comes(alice: Person, bob: Person, code: str) -> None:
    await alice.write(code, "before")
    async with _streaming(bob, code) as stream:
        start = await read_until(stream, "before")
        assert '<meta http-equiv="refresh"' in start
        assert '<base target="_top">' in start
        assert stream.status_code == 200
        assert "Content-Encoding" not in stream.headers
        assert stream.headers["X-Accel-Buffering"] == "no"
        assert "frame-ancestors 'self'" in stream.headers["Content-Security-Policy"]
        await alice.write(code, "during")
        await alice.write(code, "<b>bold</b>")
        more = await read_until(stream, "&lt;b&gt;")
    assert texts(parse(more[more.index("<li") :].rpartition("</li>")[0] + "</li>")) == [
        "during",
        "<b>bold</b>",
    ]


@ON_BOTH
async def test_the_live_page_counts_as_being_here(
    alice: Person, bob: Person, code: str, chats: list[Context], turn: Turn
) -> None:
    chat = chats[-1]
    async with _streaming(bob, code) as stream:
        await read_until(stream, "</template>")
        await until(lambda: chat.presence.people(code))
        await turn()
        page = await alice.look(code)
        assert "Bob" in [label.text for label in page.all("#roster bdi")]
        assert notices(page) == ["Bob is here for the first time"]
        assert b"chat_streams 1.0" in chat.metrics.text()
    assert b"chat_streams 0.0" in chat.metrics.text()
    assert chat.hub.feeds == {}


@ON_BOTH
async def test_the_live_page_shows_a_notice_that_grows_in_its_newest_state(
    alice: Person, bob: Person, code: str, chats: list[Context], turn: Turn
) -> None:
    async with _streaming(bob, code) as stream:
        await read_until(stream, "</template>")
        await until(lambda: chats[-1].presence.people(code))
        await turn()
        await read_until(stream, "<bdi>Bob</bdi> is here")
        async with alice.in_room(code):
            await turn(2)
            more = await read_until(stream, "are here for the first time")
    assert list(_versions(more).values()) == [["Bob and Alice are here for the first time"]]


def _versions(arrived: str) -> dict[str, list[str]]:
    """What was sent for each place of a live page: what came later hides what came before."""
    found: dict[str, list[str]] = {}
    for line in parse(arrived[arrived.index("<li") :].rpartition("</li>")[0] + "</li>").all("li"):
        assert line["id"] == f"message-{line['slot']}"
        button = line.one("input[type=radio][checked][hidden]")
        assert button["name"] == f"version-{line['slot']}"
        assert button["autocomplete"] == "off"
        text = line.all("p")[-1].words
        found.setdefault(line["slot"], []).append(
            text.rpartition(" ")[0] if "notice" in line["class"] else text
        )
    return found


@ON_BOTH
async def test_the_live_page_shows_a_text_that_changes_in_its_place(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    for text in ("as it was", "a secret"):
        await alice.write(code, text)
    async with _streaming(bob, code) as stream:
        start = await read_until(stream, "a secret")
        first, second = re.findall(r"slot=(\d+) ", start)[-2:]
        await until(lambda: any(feed.connections for feed in chats[-1].hub.feeds.values()))
        await alice.post(f"/rooms/{code}/{first}/edit", {"body": "as it is"})
        more = await read_until(stream, "as it is")
        await alice.post(f"/rooms/{code}/{second}/delete", {})
        more += await read_until(stream, "Message deleted")
    assert f'<slot name="{first}"></slot><slot name="{second}"></slot>' in start
    assert _versions(more) == {first: ["as it is"], second: ["Message deleted"]}


@ON_BOTH
async def test_the_live_page_ends_when_the_server_does(
    alice: Person, bob: Person, code: str, chats: list[Context]
) -> None:
    hub = chats[-1].hub
    async with _streaming(bob, code) as stream:
        await read_until(stream, "</template>")
        await until(lambda: any(feed.connections for feed in hub.feeds.values()))
        await hub.connections.terminate()
        async with asyncio.timeout(5):
            while await stream.receive():
                pass  # the last chunk is empty


@ON_BOTH
async def test_the_live_page_ends_when_its_person_leaves(
    bob: Person, code: str, chats: list[Context]
) -> None:
    hub = chats[-1].hub
    async with _streaming(bob, code) as stream:
        await read_until(stream, "</template>")
        await until(lambda: any(feed.connections for feed in hub.feeds.values()))
        await bob.post(f"/rooms/{code}/leave")
        async with asyncio.timeout(5):
            while await stream.receive():
                pass
    assert (await bob.get(f"/rooms/{code}/stream")).status == 403


# Other sites ------------------------------------------------------------------------------------------

FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost.evil.example"},
    {"origin": "http://localhost:8001"},
    {"origin": "http://["},
    {"origin": "", "sec_fetch_site": "cross-site"},
    {"origin": "", "sec_fetch_site": "same-site"},
]
EMBEDDED = [
    ("no-cors", "image"),
    ("no-cors", "empty"),
    ("cors", "empty"),
    *(("navigate", use) for use in ("iframe", "object", "embed", "frame")),
]
POSTS = ["/", "/rooms/{code}", "/rooms/{code}/messages", "/rooms/{code}/composer", "/rooms/{code}/leave"]


@pytest.mark.parametrize("path", POSTS)
async def test_no_other_site_can_post(alice: Person, code: str, path: str) -> None:
    form = {"name": "Eve", "body": "planted", "create": "1"}
    for headers in FOREIGN:
        reply = await alice.post(path.format(code=code), form, **headers)
        assert reply.status == 403, headers
        assert reply.page.one("h1").words == "Not done"
    assert (await alice.look(code)).has("#composer")
    assert await alice.texts(code) == []


async def test_a_browser_s_own_fetch_metadata_are_welcome(alice: Person, code: str) -> None:
    for site in ("same-origin", "none"):
        reply = await alice.post(f"/rooms/{code}/messages", {"body": "x"}, origin="", sec_fetch_site=site)
        assert reply.status == 303


async def test_following_a_link_from_another_site_is_welcome(alice: Person, code: str) -> None:
    assert (await alice.get(f"/rooms/{code}", sec_fetch_site="cross-site")).status == 200
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert (await alice.get(f"/rooms/{code}", **link)).status == 200


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
@pytest.mark.parametrize("mode_and_use", EMBEDDED, ids="-".join)
async def test_no_other_site_can_read_a_page_for_somebody(
    alice: Person, bob: Person, code: str, chat: Context, site: str, mode_and_use: tuple[str, str]
) -> None:
    await alice.write(code, "new")
    mode, use = mode_and_use
    headers = {"sec_fetch_site": site, "sec_fetch_mode": mode, "sec_fetch_dest": use}
    for path in ("", "/stream", "?after=0", "/search?q=new", "/earlier?before=9&behind=1"):
        assert (await bob.get(f"/rooms/{code}{path}", **headers)).status == 403, path
    assert (await bob.get("/", **headers)).status == 403
    home = (await bob.get("/")).page
    assert "1 unread" in home.one("#rooms").words
    assert (await bob.get(home.one("link[rel=icon]")["href"], **headers)).status == 200
    assert [one.name for one in await chat.presence.everybody(code)] == []


# Limits -----------------------------------------------------------------------------------------------


async def test_a_missing_code_is_no_wrong_code(client: Person) -> None:
    for _ in range(40):
        assert (await client.post("/", {"name": "Ann", "code": "", "join": "1"})).status == 422


async def test_rooms_made_from_one_address_are_limited(client: Person, clock: FakeClock) -> None:
    for _ in range(30):
        await client.create("Ann")
    refused = await client.post("/", {"name": "Ann", "create": "1"})
    assert refused.status == 429
    assert "Many rooms were made" in _alerts(refused.page)[0]
    assert refused.page.one("[name=name]").value == "Ann"
    clock.pass_by(2)
    await client.create("Ann")


async def test_joins_from_one_address_are_limited(
    app: Quart, alice: Person, chat: Context, clock: FakeClock
) -> None:
    from chat import limits

    code = await alice.create()
    for _ in range(300):
        await chat.limits.take(limits.JOINS, "192.0.2.1")
    for path, form in (
        ("/", {"name": "Ann", "code": code, "join": "1"}),
        (f"/rooms/{code}", {"name": "Ann"}),
    ):
        refused = await Person(app, "Ann").post(path, form)
        assert refused.status == 429
        assert "Many people are joining" in _alerts(refused.page)[0]
        assert refused.page.one("[name=name]").value == "Ann"
    await Person(app, "Ann", address="198.51.100.1").join(code)
    clock.pass_by(0.2)
    await Person(app, "Ann").join(code)


# Errors -----------------------------------------------------------------------------------------------


def _failing(error: Exception) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def _assert_designed(reply: Reply) -> None:
    """An error page in the design, with a way on and nothing of our insides."""
    page = reply.page
    assert page.one("main h1").words
    assert page.one("p.status").words == str(reply.status)
    assert page.has("main a[href=/]")
    assert page.has("link[rel=stylesheet]")
    for word in ("Traceback", "File &", ".py", "Error:", "werkzeug", "sqlite"):
        assert word not in reply.text


async def test_every_error_is_a_page_in_the_design(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    replies = {
        403: await alice.post("/", {}, origin="null"),
        404: await alice.get("/no/such/page"),
        405: await alice.ask("DELETE", "/", {"Origin": ORIGIN}),
        413: await alice.ask(
            "POST",
            "/",
            {"Origin": ORIGIN, "Content-Type": "application/x-www-form-urlencoded"},
            b"name=" + b"x" * 300_000,
        ),
    }
    monkeypatch.setattr(chat.store, "snapshot", _failing(Unavailable("disk on fire")))
    replies[503] = await alice.get(f"/rooms/{code}")
    assert replies[503].headers["Retry-After"]
    monkeypatch.setattr(chat.store, "snapshot", _failing(RuntimeError("a fault of ours")))
    replies[500] = await alice.get(f"/rooms/{code}")
    for status, reply in replies.items():
        assert reply.status == status
        _assert_designed(reply)
        assert "fault of ours" not in reply.text.replace("The fault is ours", "")
        assert "disk on fire" not in reply.text
    assert "a fault of ours" in caplog.text  # it has been noted
    assert "disk on fire" not in caplog.text


async def test_a_400_is_a_page_in_the_design(alice: Person, app: Quart) -> None:
    from quart import abort

    app.add_url_rule("/bad", view_func=lambda: abort(400))
    _assert_designed(await alice.get("/bad"))


@ON_BOTH
async def test_a_text_of_somebody_who_left_in_another_tab_comes_back(alice: Person) -> None:
    code = await alice.create()
    await alice.post(f"/rooms/{code}/leave")
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "precious", "key": "k"})
    assert reply.status == 403
    assert reply.page.one("textarea").text.strip() == "precious"


@ON_BOTH
async def test_a_text_over_the_rate_is_told_when_to_come_again(alice: Person) -> None:
    from chat import limits

    code = await alice.create()
    texts = [{"body": f"m{n}", "key": "k"} for n in range(40)]  # at once: one by one, a slow machine may obey
    replies = await asyncio.gather(*(alice.post(f"/rooms/{code}/messages", text) for text in texts))
    refused = [reply for reply in replies if reply.status != 303]
    assert len(replies) - len(refused) >= limits.MESSAGES.burst
    assert {reply.status for reply in refused} == {429}
    assert all(int(reply.headers["Retry-After"]) >= 1 for reply in refused)


async def test_the_head_of_the_live_page_is_not_the_endless_page(alice: Person) -> None:
    code = await alice.create()
    assert (await alice.ask("HEAD", f"/rooms/{code}/stream")).status == 200


async def test_a_429_without_a_form_is_a_page_in_the_design(client: Person) -> None:
    for _ in range(20):
        await client.get(f"/rooms/{NOBODYS}")
    reply = await client.get(f"/rooms/{NOBODYS}")
    assert reply.status == 429
    _assert_designed(reply)
    assert reply.page.one(".lead").words == "Too many wrong codes. Please try again in 3 seconds."


async def test_a_refused_method_says_which_are_welcome(alice: Person) -> None:
    reply = await alice.ask("DELETE", "/", {"Origin": ORIGIN})
    assert {"GET", "POST"} <= {method.strip() for method in reply.headers["Allow"].split(",")}


# Garbage ----------------------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded"
GARBAGE: dict[str, tuple[str, bytes]] = {
    "nothing": (FORM, b""),
    "a long name": (FORM, b"create=1&name=" + b"x" * 100_000),
    "a long code": (FORM, b"name=Ann&join=1&code=" + b"Z" * 100_000),
    "nul": (FORM, b"create=1&name=%00&code=%00&body=%00&key=%00&acked=%00"),
    "invalid utf-8": (FORM, b"create=1&name=%FF%FE&body=%C3%28&key=%80"),
    "raw bytes": (FORM, bytes(range(256))),
    "a lone surrogate": (FORM, b"create=1&name=%ED%A0%80&body=%ED%A0%80&key=%ED%A0%80"),
    "a broken escape": (FORM, b"create=1&name=%&body=%Z&key=%1"),
    "many fields": (FORM, b"&".join(b"f%d=1" % n for n in range(3000))),
    "many texts": (FORM, b"key=k&" + b"&".join([b"body=x"] * 300)),
    "no form": ("text/plain", b"hello"),
    "json": ("application/json", b'{"name": "Ann", "create": 1}'),
    "no type": ("", b"name=Ann"),
    "a senseless type": ("\0/;;;=", b"name=Ann"),
    "a strange charset": (f"{FORM}; charset=utf-16", b"name=Ann&create=1"),
    "an unknown charset": (f"{FORM}; charset=klingon", b"name=&create=1"),
    "multipart without boundary": ("multipart/form-data", b"--x\r\n\r\n"),
    "broken multipart": ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: nonsense\r\n\r\nx"),
    "unfinished multipart": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data; name=name\r\n",
    ),
    "a file instead of a name": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="a"\r\n\r\nAnn\r\n--x--\r\n',
    ),
    "an odd number": (FORM, b"name=&body=&acked=" + b"9" * 6000),
    "a long key": (FORM, b"body=x&name=&key=" + b"k" * 5000),
}


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_a_garbage_form_is_refused_and_never_a_fault_of_ours(
    alice: Person, code: str, garbage: str, caplog: pytest.LogCaptureFixture
) -> None:
    kind, data = GARBAGE[garbage]
    for path in POSTS:
        reply = await alice.ask(
            "POST", path.format(code=code), {"Origin": ORIGIN, "Content-Type": kind}, data
        )
        assert reply.status in {303, 400, 403, 413, 415, 422, 429} or "composer" in path, (path, reply.status)
        assert reply.status < 500, path
        assert reply.status == 303 or reply.page.has("html"), path
    assert "Traceback" not in caplog.text


PATHS = [
    *[
        "//",
        "///",
        "/.",
        "/..",
        "/../etc/passwd",
        "/rooms",
        "/rooms/",
        "/rooms//live",
        "/rooms/%00",
        "/rooms/%FF%FE",
        "/rooms/%ED%A0%80",
        "/rooms/ABCD%2FEFGH",
        "/rooms/%2e%2e",
        "/rooms/{code}/",
        "/rooms/{code}/nothing",
        "/rooms/{code}%00",
        "/rooms/{code}/live",
        "/rooms/{code}?x=%FF&before=%FF",
        "/static",
        "/static/",
        "/static/x",
        "/static//etc/passwd",
        "/static/x/chat.css%00",
        "/static/../../etc/passwd",
        "/static/%2e%2e/%2e%2e/chat/app.py",
        "/seats/.css",
        "/seats/%00.css",
        "/robots.txt",
        "/healthz/",
    ],
    "/rooms/" + "Z" * 5000,
    "/rooms/" + "%F0%9F%98%80" * 300,
    "/?" + "a=1&" * 500,
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "BREW"])
async def test_a_garbage_path_or_method_is_never_a_fault_of_ours(
    alice: Person, code: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    for path in PATHS:
        reply = await alice.ask(method, path.format(code=code))
        assert reply.status < 500, path
        assert b"root:" not in reply.body, path
        assert b"create_app" not in reply.body, path
    assert "Traceback" not in caplog.text


async def test_a_garbage_cookie_is_nobody(client: Person, alice: Person, code: str) -> None:
    for cookie in [
        "chat=",
        "chat=\xff\xfe",
        "chat=a.b",
        "chat=" + "x" * 8000,
        ";;;",
        "=",
        'chat="a\\',
        "chat=a; chat=b",
    ]:
        reply = await client.get(f"/rooms/{code}", cookie=cookie)
        assert reply.status == 200
        assert not reply.page.has("#composer")


async def test_a_garbage_host_is_never_a_fault_of_ours(
    app: Quart, alice: Person, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    for host in [
        "a b",
        '"><script>',
        "[::1",
        "x" * 3000,
        "a..b",
        ".",
        "evil.example:99999",
        "é",
        "\xff",
        ":",
        "@",
    ]:
        (cookie,) = list(alice.client.cookie_jar or ())
        stranger = app.test_client(use_cookies=False)
        for path in ("/", f"/rooms/{code}", "/nowhere"):
            response = await stranger.get(path, headers={"Host": host, "Cookie": f"chat={cookie.value}"})
            assert response.status_code < 500
            assert not [s for s in parse(await response.get_data(as_text=True)).all("script") if s.text]
        assert "Traceback" not in caplog.text


async def test_a_garbage_accept_encoding_is_never_a_fault_of_ours(client: Person) -> None:
    for value in ["", "gzip;q=0", "gzip;q=x", "*;q=0", "\xff", "gzip" * 1000, "br, gzip;q=0.5"]:
        assert (await client.ask("GET", "/", {"Accept-Encoding": value})).status == 200


# Headers ----------------------------------------------------------------------------------------------


async def _one_of_each(alice: Person, code: str) -> dict[str, Reply]:
    page = await alice.look(code)
    return {
        "home": await alice.get("/"),
        "faulty form": await alice.post("/", {"name": "", "create": "1"}),
        "invitation": await Person(alice.app, "Nobody").get(f"/rooms/{code}"),
        "room": await alice.get(f"/rooms/{code}"),
        "older": await alice.get(f"/rooms/{code}?before=5"),
        "fragment": await alice.get(f"/rooms/{code}/earlier"),
        "redirect": await alice.post(f"/rooms/{code}/messages", {"body": "x"}),
        "style": await alice.get(page.all("link[rel=stylesheet]")[0]["href"]),
        "own style": await alice.get("/seats/1.css"),
        "script": await alice.get(page.all("script")[0]["src"]),
        "blank": await alice.get(page.one("#blank")["hx-get"]),
        "icon": await alice.get("/favicon.ico"),
        "health": await alice.get("/healthz"),
        "metrics": await alice.get("/metrics"),
        "403": await alice.post("/", {}, origin="null"),
        "404": await alice.get("/nowhere"),
        "405": await alice.ask("PUT", "/", {"Origin": ORIGIN}),
        "413": await alice.post("/", {"name": "x" * 300_000}),
    }


async def test_every_answer_has_the_safe_headers(alice: Person, code: str) -> None:
    for kind, reply in (await _one_of_each(alice, code)).items():
        policy = dict(
            part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";")
        )
        assert policy["default-src"] == "'self'", kind
        assert policy["object-src"] == "'none'", kind
        assert policy["base-uri"] == "'none'", kind
        assert policy["form-action"] == "'self'", kind
        assert policy["frame-ancestors"] == "'none'", kind
        assert "unsafe" not in reply.headers["Content-Security-Policy"], kind
        assert "*" not in reply.headers["Content-Security-Policy"], kind
        assert reply.headers["Referrer-Policy"] == "same-origin", kind
        assert reply.headers["X-Content-Type-Options"] == "nosniff", kind
        assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin", kind
        assert "camera=()" in reply.headers["Permissions-Policy"], kind


async def test_an_unexpected_failure_has_the_safe_headers_too(
    alice: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat.store, "snapshot", _failing(RuntimeError("a fault of ours")))
    reply = await alice.get(f"/rooms/{code}")
    assert reply.status == 500
    assert "default-src 'self'" in reply.headers["Content-Security-Policy"]


async def test_pages_are_kept_by_nobody_and_never_shared(alice: Person, code: str) -> None:
    for kind in ("home", "room", "invitation", "fragment", "404"):
        reply = (await _one_of_each(alice, code))[kind]
        assert reply.headers["Cache-Control"] == "private, no-cache"
        assert "Cookie" in reply.headers["Vary"]


@pytest.mark.parametrize("name", ROOM_ACTIONS)
async def test_a_fragment_is_not_kept_in_place_of_the_page_at_its_address(
    alice: Person, code: str, name: str
) -> None:
    """On Back a browser takes what it has of an address without asking whether that is current."""
    page = await alice.get(f"/rooms/{code}/{name}")
    fragment = await alice.get(f"/rooms/{code}/{name}", hx_request="true")
    assert (page.page.has("html"), fragment.page.has("html")) == (True, False)
    for reply in (page, fragment):
        assert "HX-Request" in reply.headers["Vary"]


async def test_pages_are_compressed_for_those_who_can_read_it(alice: Person, code: str) -> None:
    await alice.write(code, *("a text that repeats " * 50 for _ in range(5)))
    plain = await alice.get(f"/rooms/{code}")
    packed = await alice.get(f"/rooms/{code}", accept_encoding="gzip, br")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(packed.body)
    assert len(packed.body) < len(plain.body) / 3
    keys = re.compile(r'name="key" value="[^"]*"')
    assert keys.sub("", gzip.decompress(packed.body).decode()) == keys.sub("", plain.text)
    assert "Accept-Encoding" in plain.headers["Vary"]
    error = await alice.get("/nowhere", accept_encoding="gzip")
    assert gzip.decompress(error.body).startswith(b"<!doctype html>")


async def test_static_files_are_kept_for_ever_under_an_address_of_their_content(
    alice: Person, code: str
) -> None:
    page = await alice.look(code)
    urls = [
        element.attributes.get("href") or element["src"] for element in page.all("link") + page.all("script")
    ]
    assert len(urls) > 5
    for url in urls:
        reply = await alice.get(url, accept_encoding="gzip")
        assert reply.status == 200, url
        assert reply.headers["Cache-Control"] == "public,max-age=31536000,immutable", url
        assert reply.cookies == []


async def test_a_static_file_under_an_old_address_is_not_kept(alice: Person, code: str) -> None:
    url = (await alice.look(code)).all("script")[0]["src"]
    version = url.split("/")[2]
    reply = await alice.get(url.replace(version, "0123456789"))
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-cache"


async def test_static_files_are_compressed_and_whole(alice: Person, code: str) -> None:
    url = (await alice.look(code)).all("script")[0]["src"]
    packed, plain = await alice.get(url, accept_encoding="gzip"), await alice.get(url)
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["Content-Type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("old", [False, True])
async def test_a_static_file_that_a_browser_has_is_not_sent_again(
    alice: Person, code: str, encoding: str, old: bool
) -> None:
    url = (await alice.look(code)).all("script")[0]["src"]
    if old:
        url = url.replace(url.split("/")[2], "0123456789")
    whole = await alice.get(url, accept_encoding=encoding)
    tag = whole.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}'):
        reply = await alice.get(url, accept_encoding=encoding, if_none_match=known)
        assert (reply.status, reply.body) == (304, b"")
        kept = ("ETag", "Cache-Control", "Vary", "Content-Security-Policy", "X-Content-Type-Options")
        assert {name: reply.headers[name] for name in kept} == {name: whole.headers[name] for name in kept}
    for other in ('"x"', tag.replace('"', ""), tag.replace('"', '"0', 1)):
        assert (await alice.get(url, accept_encoding=encoding, if_none_match=other)).status == 200


async def test_a_static_file_is_another_one_when_compressed(alice: Person, code: str) -> None:
    url = (await alice.look(code)).all("script")[0]["src"]
    packed, plain = await alice.get(url, accept_encoding="gzip"), await alice.get(url)
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert (await alice.get(url, if_none_match=packed.headers["ETag"])).status == 200
    refused = await alice.get(url, accept_encoding="gzip;q=0, identity")
    assert "Content-Encoding" not in refused.headers


async def test_a_static_file_says_all_that_a_page_says_for_safety(alice: Person, code: str) -> None:
    page = await alice.get(f"/rooms/{code}")
    url = page.page.all("script")[0]["src"]
    for reply in (await alice.get(url), await alice.ask("HEAD", url)):
        for name in HEADERS:
            assert reply.headers[name] == page.headers[name]
        assert reply.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
        assert "Strict-Transport-Security" not in reply.headers
    assert reply.body == b""
    assert (await alice.ask("GET", url, scheme="https")).headers["Strict-Transport-Security"]
    assert (await alice.post(url)).status == 405


async def test_everything_a_page_links_is_our_own_and_exists(alice: Person, code: str) -> None:
    await alice.write(code, "hello")
    for path in ("/", f"/rooms/{code}", "/nowhere"):
        page = (await alice.get(path)).page
        for element in page.walk():
            for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
                if url := element.attributes.get(name):
                    inside = name == "hx-get" and url.startswith("data:text/html;")
                    sends = name == "href" and url.startswith(("mailto:?", "sms:?", "https://wa.me/?"))
                    assert inside or sends or url.removeprefix(ORIGIN).startswith(("/", "#")), url
                    assert not url.startswith("//")
            if element.tag in {"link", "script", "img"}:
                assert (await alice.get(element.attributes.get("href") or element["src"])).status == 200
        assert not page.has("style")
        assert not [s for s in page.all("script") if s.text or "src" not in s]
        assert not [
            e for e in page.walk() if "style" in e or any(n.startswith(("on", "hx-on")) for n in e.attributes)
        ]


async def test_links_to_a_part_of_the_page_find_it(alice: Person, code: str) -> None:
    page = await alice.look(code)
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert page.has(link["href"])


async def test_the_first_view_of_a_room_is_at_most_30_kb(alice: Person, code: str, chat: Context) -> None:
    for n in range(50):
        await chat.store.append(
            code,
            1 + n % 2,
            f"k{n}",
            f"{n:02} " + "sixty characters of what people say to one another, mostly."[:57],
        )
    page = await alice.look(code)
    urls = {
        e.attributes.get("href") or e.attributes.get("src") for e in page.all("link") + page.all("script")
    }
    total = len((await alice.get(f"/rooms/{code}", accept_encoding="gzip")).body)
    for url in urls:
        assert url
        total += len((await alice.get(url, accept_encoding="gzip")).body)
    assert total <= 30_000


@pytest.mark.parametrize("name", ["Ann", "Bartholomew Featherstonehaugh II"])
async def test_a_message_costs_at_most_400_bytes_besides_its_text(
    app: Quart, bob: Person, code: str, name: str
) -> None:
    author = Person(app, name)
    await author.join(code)
    text = "what people say"
    async with bob.in_room(code) as live:
        for _ in range(2):
            await author.write(code, text)
            await live.until("li", text)
        first, second = (len(raw.encode()) - len(text) for raw in live.raw if text in raw)
        assert first <= 450, "with the line of the day"
        assert second <= 400


# Figures and logs -------------------------------------------------------------------------------------


async def test_health_is_200_while_the_store_answers(
    client: Person, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await client.get("/healthz")
    assert (reply.status, reply.text) == (200, "ok store=fsync\n")
    monkeypatch.setattr(chat.store, "ping", _failing(Unavailable("away")))
    reply = await client.get("/healthz")
    assert (reply.status, reply.text) == (503, "unwell store=away\n")


@pytest.mark.parametrize(
    ("full", "problem", "status", "said"),
    [
        ("", "locked", 503, "unwell store=fsync writes=locked\n"),
        ("disk", "", 503, "unwell store=fsync writes=full\n"),
        ("cap", "", 200, "ok store=fsync space=CHAT_MAX_BYTES\n"),
    ],
)
async def test_health_says_why_nobody_can_write(
    client: Person,
    chat: Context,
    monkeypatch: pytest.MonkeyPatch,
    full: str,
    problem: str,
    status: int,
    said: str,
) -> None:
    async def probed(_: object) -> str:
        return problem

    monkeypatch.setattr(Quota, "full", full)
    monkeypatch.setattr(WriteProbe, "problem", probed)
    reply = await client.get("/healthz")
    assert (reply.status, reply.text) == (status, said)


async def test_health_says_that_the_clock_jumped(
    app: Quart, client: Person, chat: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock = 1000.0, 0.0

    async def time() -> float:
        return clock

    monkeypatch.setattr(chat.store, "time", time)
    watch = ClockWatch(chat.store, lambda: now)
    app.extensions["chat"] = replace(chat, clock=watch)
    await watch.look()
    clock = 5 * 3600.0
    await watch.look()
    reply = await client.get("/healthz")
    assert (reply.status, reply.text) == (200, "ok store=fsync clock=+18000s,0min-ago\n")


async def test_when_nothing_more_fits_people_read_and_leave_and_keep_their_text(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await alice.create()
    await alice.post(f"/rooms/{code}/messages", {"body": "before", "key": "k"})
    monkeypatch.setattr(Quota, "full", "cap")
    reply = await alice.post(f"/rooms/{code}/messages", {"body": "precious", "key": "k", "acked": "1"})
    assert reply.status == 422
    assert "no space left" in reply.page.text
    assert "precious" in reply.text
    for person, path, form in (
        (alice, "/", {"name": "Alice", "create": "1"}),
        (bob, f"/rooms/{code}", {"name": "Bob"}),
    ):
        refused = await person.post(path, form)
        assert refused.status == 422
        assert "no space left" in refused.text
        assert form["name"] in refused.text
    assert "before" in (await alice.get(f"/rooms/{code}")).text
    assert (await alice.post(f"/rooms/{code}", {"name": "Alice"})).status == 303
    assert (await alice.post(f"/rooms/{code}/leave", {})).status == 303


async def test_a_page_whose_text_does_not_fit_gets_it_back(
    alice: Person, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with alice.in_room(code) as live:
        monkeypatch.setattr(Quota, "full", "disk")
        await live.say("precious")
        await live.until("form", "no space left")
        assert any("precious" in raw for raw in live.raw)


async def test_more_bytes_than_a_minute_allows_come_back(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BYTES", limits.Rate("bytes", 60 / 10_000, 10_000))
    code = await alice.create()
    replies = [
        await alice.post(
            f"/rooms/{code}/messages", {"body": f"{n}" + "x" * 4000, "key": "k", "acked": str(n)}
        )
        for n in range(4)
    ]
    assert replies[0].status == 303
    assert replies[-1].status == 429
    assert "a lot of text" in replies[-1].text
    assert "3xxxx" in replies[-1].text


async def test_metrics_count_what_an_operator_watches(alice: Person, bob: Person, code: str) -> None:
    async with alice.in_room(code) as live:
        await live.say("hello")
        await live.until("li", "hello")
        await bob.post("/", {}, origin="null")
        reply = await bob.get("/metrics")
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    figures = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in reply.text.splitlines()
        if line[0] != "#"
    }
    assert figures["chat_connections"] == 1
    assert figures["chat_rooms_live"] == 1
    assert figures["chat_messages_total"] >= 1
    assert figures["chat_deliveries_total"] >= 1
    assert figures["chat_frames_total"] >= 1
    assert figures["chat_append_seconds_count"] == 1
    assert figures['chat_refusals_total{reason="origin"}'] == 1
    assert code not in reply.text


async def test_logs_say_what_happened_but_not_what_was_said(
    alice: Person, bob: Person, client: Person, caplog: pytest.LogCaptureFixture, chat: Context,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, "chat")
    code = await alice.create("Hortensia")
    await bob.join(code, "Bartholomew")
    await alice.write(code, "a-very-private-text")
    async with bob.in_room(code) as live:
        await live.say("another-private-text", key="private-key")
        await live.until("li", "another-private-text")
        await live.send_text("garbage-private-text")
        await live.until("[role=alert]")
        monkeypatch.setattr(chat.store, "append", on_its_way(_failing(RuntimeError("oops"))))
        await live.say("third-private-text", key="private-key", acked=1)
        await live.until("[role=alert]", "Something went wrong")
    await alice.post(f"/rooms/{code}/messages", {"body": "fourth-private-text"})
    await client.post("/", {"name": "Eve", "code": "XXXX3333", "join": "1"})
    await bob.post(f"/rooms/{code}/leave")
    events = [record.getMessage().split()[0] for record in caplog.records if record.name == "chat"]
    assert {"room-opened", "seat-taken", "seat-ended", "post-failed", "request-failed"} <= set(events)
    cookies = [cookie.value or "" for person in (alice, bob) for cookie in person.client.cookie_jar or ()]
    for secret in (code, code.lower(), "private", "Hortensia", "Bartholomew", "XXXX3333", *cookies):
        assert secret not in caplog.text
    assert all("\n" not in record.getMessage() for record in caplog.records if record.name == "chat")


async def test_a_position_is_kept_by_the_page(alice: Person, code: str, chat: Context) -> None:
    head = (await calls.heads(chat.store, [code]))[code]
    assert isinstance(head, Position)
    assert head.epoch in (await alice.look(code)).one("#resume")["hx-vals"]


async def test_a_farewell_is_written_in_the_page_s_own_words(chat: Context, code: str) -> None:
    fragment = parse(chat.render.alerts.farewell(code, Close(1008, "You <left>.").reason, LOOK))
    assert [part["hx-target"] for part in fragment.all("hx-partial")] == ["#triggers", "#signs", "#foot"]
    assert "You <left>." in fragment.one("[role=alert]").text
    assert fragment.one("a")["href"] == f"/rooms/{code}"


@pytest.mark.parametrize("button", ["create", "join"])
async def test_a_name_that_cannot_be_taken_just_now_stays_in_its_form(
    client: Person, code: str, chat: Context, monkeypatch: pytest.MonkeyPatch, button: str
) -> None:
    calls.intercept(monkeypatch, chat.store, take_seat, _failing(Unavailable("away")))
    for path in ("/", f"/rooms/{code}") if button == "join" else ("/",):
        reply = await client.post(path, {"name": "Ann", "code": code, button: "1"})
        assert reply.status == 503
        assert reply.page.one("[name=name]").value == "Ann"
        assert "Nothing can be loaded" in reply.page.one("[role=alert]").text
