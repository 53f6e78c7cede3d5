"""The page of one's own settings: a form like any other, and what it changes."""

from __future__ import annotations

import re

import pytest
from people import Person, Reply, Turn

from chat.languages import LANGUAGES
from chat.views.assets import minified
from chat.views.language import locale_of
from chat.views.look import Look
from chat.views.places import likely_offset, place_name, places, present_times
from chat.views.reader import Choices, load_choices
from chat.zones import all_zones, offset

NOON = 1_795_781_640_000  # Friday, 27 November 2026, 12:14 UTC


def chosen(reply: Reply) -> Choices:
    [cookie] = [cookie for cookie in reply.cookies if cookie.startswith("look=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/;" in cookie + ";"
    return load_choices(cookie.partition("=")[2].partition(";")[0])


async def test_what_is_saved_is_kept_and_the_rest_stays(client: Person) -> None:
    reply = await client.post("/settings", {"language": "de", "zone": "US/Pacific", "clock": "12"})
    assert (reply.status, reply.headers["Location"]) == (303, "/settings?saved")
    assert chosen(reply) == Choices("de", "America/Los_Angeles", "12")
    reply = await client.post("/settings", {"theme": "dark", "zone": "", "density": "compact", "sound": "on"})
    assert chosen(reply) == Choices("de", "America/Los_Angeles", "12", "dark", "compact", sound="on")
    page = (await client.get("/settings?saved")).page
    assert page.one("html")["lang"] == "de"
    checked = [(radio["name"], radio["value"]) for radio in page.all("input[type=radio][checked]")]
    assert checked == [
        ("clock", "12"), ("theme", "dark"), ("density", "compact"), ("comings", "shown"),
        ("sound", "on"),
    ]  # fmt: skip
    assert page.one("#language option[selected]")["value"] == "de"


@pytest.mark.parametrize("field", Choices._fields)
async def test_an_unknown_value_is_refused_and_changes_nothing(client: Person, field: str) -> None:
    for value in ("nonsense", "x" * 10_000, "\0", "~"):
        reply = await client.post("/settings", {"language": "de", field: value} | {field: value})
        assert reply.status == 422
        assert reply.page.one("[role=alert]").words
        assert not reply.cookies


async def test_what_was_chosen_beside_it_is_kept(client: Person) -> None:
    form = {"language": "fr", "clock": "12", "theme": "pink", "density": "compact"}
    page = (await client.post("/settings", form)).page
    checked = {radio["name"]: radio["value"] for radio in page.all("input[type=radio][checked]")}
    usual = {"theme": "auto", "comings": "shown", "sound": "off"}
    assert checked == {**usual, "clock": "12", "density": "compact"}
    assert page.one("#language option[selected]")["value"] == "fr"


async def test_the_way_back_is_to_the_room(alice: Person, code: str) -> None:
    room = (await alice.get(f"/rooms/{code}")).page
    link = next(a for a in room.all("#utc a") if "Set my time" in a.words)
    assert link["href"] == f"/settings?room={code}#time"
    assert room.has(f"header a[href=/settings?room={code}]")
    page = (await alice.get(link["href"].partition("#")[0])).page
    assert {field["value"] for field in page.all("input[name=room]")} == {code}
    reply = await alice.post("/settings", {"room": code, "zone": "Europe/Berlin"})
    assert reply.headers["Location"] == f"/rooms/{code}?saved"
    assert (await alice.get(reply.headers["Location"])).page.one("#notice").words == "Saved."
    assert not (await alice.get(f"/rooms/{code}")).page.has("#utc")


@pytest.mark.parametrize("room", ["//evil.example", "../x", "https://a.example", "x" * 9999])
async def test_the_way_back_leads_nowhere_else(client: Person, room: str) -> None:
    reply = await client.post("/settings", {"room": room, "clock": "12"})
    assert reply.headers["Location"] == "/settings?saved"
    assert not (await client.get("/settings?room=" + room)).page.has("input[name=room]")


async def test_a_zone_is_chosen_by_the_time_that_it_is_there(client: Person) -> None:
    page = (await client.get("/settings", accept_language="de-AT")).page
    times = page.all("#offset option")
    assert len(times) > 30
    usual = page.one("#offset option[selected]")
    page = (await client.get("/settings?offset=" + usual["value"], accept_language="de-AT")).page
    assert page.all("#zone option")[0]["value"] == "Europe/Vienna"
    assert page.all("#zone option")[0].words == "Wien (Österreich)"
    reply = await client.post("/settings", {"zone": page.all("#zone option")[0]["value"]})
    assert chosen(reply).zone == "Europe/Vienna"
    assert "Wien" in (await client.get("/settings", accept_language="de")).page.one("#time").words


@pytest.mark.parametrize(
    "query", ["offset=61", "offset=99999", "offset=x", "offset=" + "9" * 999, "room=%00"]
)
async def test_a_time_that_it_is_nowhere_asks_again(client: Person, query: str) -> None:
    reply = await client.get("/settings?" + query)
    assert reply.status == 200
    assert reply.page.has("#offset")


def test_present_times_are_listed_from_west_to_east_by_day() -> None:
    days = present_times(NOON, Look("en", "Asia/Tokyo", "12"))
    assert [day.day for day in days] == ["Friday, 27 November 2026", "Saturday, 28 November 2026"]
    first, last = days[0].times[0], days[-1].times[-1]
    assert (first, last) == ((-660, "01:14 AM"), (840, "02:14 AM"))
    assert (330, "05:44 PM") in days[0].times


def test_places_of_the_reader_s_languages_come_first() -> None:
    found = places(60, NOON, Look("fr"), "fr-CH, de;q=0.5")
    assert found[:2] == [("Europe/Zurich", "Zurich (Suisse)"), ("Europe/Berlin", "Berlin (Allemagne)")]
    names = [name.casefold() for _, name in found[4:]]
    assert names == sorted(names)
    assert all(offset(zone, NOON) == 60 for zone, _ in found)
    assert likely_offset(NOON, "ja") == 540
    assert likely_offset(NOON, "") is None


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_place_has_a_name(language: str) -> None:
    for zone in all_zones():
        name = place_name(zone, locale_of(language))
        assert name
        assert not re.search(r"[_/<>]", name)


async def test_colours_and_space_are_stylesheets(client: Person) -> None:
    def sheets(reply: Reply) -> list[str]:
        names = [link["href"].rpartition("/")[2] for link in reply.page.all("link[rel=stylesheet]")]
        return [name for name in names if name not in ("pages.css", "home.css", "rooms.css")]

    reply = await client.get("/")
    assert sheets(reply) == ["chat.css"]
    both = (await client.get(reply.page.all("link[rel=stylesheet]")[0]["href"])).text
    paper = re.findall("--paper:#[0-9a-f]{6};", both)[1]  # the second is that of the dark theme
    assert reply.page.one("meta[name=color-scheme]")["content"] == "light dark"
    await client.post("/settings", {"theme": "dark", "density": "compact", "comings": "hidden"})
    reply = await client.get("/")
    assert sheets(reply) == ["chat.css", "dark.css", "compact.css", "no-comings.css"]
    assert reply.page.one("meta[name=color-scheme]")["content"] == "dark"
    assert [meta["content"] for meta in reply.page.all("meta[name=theme-color]")] == ["#1b1e1d"]
    for link in reply.page.all("link[rel=stylesheet]"):
        sheet = await client.get(link["href"])
        assert sheet.status == 200
        if link["href"].endswith("dark.css"):
            assert paper in sheet.text
            assert "color-scheme:dark" in sheet.text


async def test_every_page_is_in_the_colours_that_were_chosen(alice: Person, code: str) -> None:
    await alice.post("/settings", {"theme": "light"})
    await alice.write(code, "text")
    paths = ("", "/2", "?before=2", "/title", "/leave", "/nowhere")
    for path in (
        "/",
        "/settings",
        "/nowhere",
        "/rooms/BCDFGHJK",
        *(f"/rooms/{code}{path}" for path in paths),
    ):
        page = (await alice.get(path)).page
        assert page.one("meta[name=color-scheme]")["content"] == "light", path


async def test_notices_of_comings_can_be_told_apart_by_a_stylesheet(
    alice: Person, code: str, turn: Turn
) -> None:
    async with alice.in_room(code):
        await turn()
    await alice.post(f"/rooms/{code}/title", {"title": "Regatta"})
    notices = (await alice.look(code)).all("li.notice")
    assert ["came" in item.classes for item in notices] == ["Regatta" not in item.text for item in notices]
    assert len(notices) == 2


def test_of_a_stylesheet_only_what_nobody_sees_is_left_out() -> None:
    sheet = (
        b'/* why */\na:hover, b > i { color: red; content: ": ; , {" attr(title); }\n@media (x: 1px) { p {} }'
    )
    assert minified(sheet) == b'a:hover,b>i{color:red;content:": ; , {" attr(title)}@media (x:1px){p{}}'
