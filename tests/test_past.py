"""Links into the past of a room: to a message, from there both ways, and to a day in the reader's zone."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from deployments import ON_BOTH
from dom import Element
from people import FakeClock, Person, texts

from chat.context import Context
from chat.views.look import Look
from chat.views.times import date_of, start_of

TODAY = "2027-01-15"  # by the clock of the tests


def number(item: Element) -> int:
    return int(item["id"].removeprefix("message-"))


@pytest.fixture
async def long_room(alice: Person, code: str, chat: Context) -> str:
    """A room with 120 messages."""
    await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"m{n}") for n in range(120)))
    return code


async def link(person: Person, code: str, text: str) -> str:
    """The address of a message, taken from the page that shows it."""
    for query in ("", "?before=100", "?before=50"):
        for item in (await person.look(code, query)).all("#earlier li[data-by]"):
            if item.one(".text").text == text:
                return item.one(".by a")["href"]
    raise AssertionError(f"{text} is not to be seen")


# A message


@ON_BOTH
async def test_a_message_stands_among_those_around_it(bob: Person, long_room: str) -> None:
    page = (await bob.get(await link(bob, long_room, "m60"))).page
    assert texts(page) == [f"m{n}" for n in range(55, 66)]
    current = page.one("[aria-current=true]")
    assert current.one(".text").text == "m60"
    assert "autofocus" in current  # which brings it into view, without any script
    assert page.one(f"header a[href=/rooms/{long_room}]").words == "Back to the room"


@ON_BOTH
async def test_plain_links_lead_from_a_message_to_the_first_and_to_the_last(
    bob: Person, long_room: str
) -> None:
    page = (await bob.get(await link(bob, long_room, "m60"))).page
    seen = texts(page)
    older = page
    while (links := older.all("#older a")) and links[0].words == "Earlier messages":
        older = (await bob.get(links[0]["href"])).page
        seen = texts(older) + seen
    newer = page
    while links := newer.all("#later a"):
        newer = (await bob.get(links[0]["href"])).page
        seen += texts(newer)
    assert seen == [f"m{n}" for n in range(120)]
    assert newer.has(f"#foot a[href=/rooms/{long_room}]")
    assert not newer.has("[hx-ws:connect]")


async def test_htmx_puts_further_messages_on_the_page_of_one(bob: Person, long_room: str) -> None:
    page = (await bob.get(await link(bob, long_room, "m60"))).page
    later = page
    seen = texts(page)
    while (links := later.all("#later a[hx-get]")) and links[0].words == "Later messages":
        later = (await bob.get(links[0]["hx-get"], hx_request="true")).page
        assert later.one("hx-partial[hx-target=#earlier]")["hx-swap"] == "beforeend"
        assert not later.has("html")
        seen += texts(later)
    assert later.one("#later a")["href"] == f"/rooms/{long_room}"
    older = page
    while links := older.all("#older a[hx-get]"):
        assert links[0]["hx-trigger"] == "click"  # at the top of a page it would come again and again
        older = (await bob.get(links[0]["hx-get"], hx_request="true")).page
        assert "show:top" in older.one("hx-partial")["hx-swap"]  # nobody is moved
        seen = texts(older) + seen
    assert older.one("#older").words.startswith("This is where")
    assert seen == [f"m{n}" for n in range(120)]


async def test_the_newest_message_has_none_after_it(bob: Person, long_room: str) -> None:
    page = (await bob.get(await link(bob, long_room, "m119"))).page
    assert texts(page) == [f"m{n}" for n in range(114, 120)]
    assert page.one("#later a").words == "Back to the newest messages"


async def test_after_the_newest_there_are_the_newest(bob: Person, long_room: str) -> None:
    for after in ("500", "999999999999999"):
        page = await bob.look(long_room, f"?after={after}")
        assert texts(page) == [f"m{n}" for n in range(70, 120)]
        assert not page.has("#later")
        assert not texts((await bob.get(f"/rooms/{long_room}/later?after={after}")).page)


async def test_a_senseless_after_is_no_error(alice: Person, long_room: str) -> None:
    for after in ("abc", "-1", "0", "9e99", "", "9" * 30, "9" * 5000, "1.5", "%00", "%FF", "%D9%A1", "null"):
        for path in (f"/rooms/{long_room}", f"/rooms/{long_room}/later"):
            assert (await alice.get(f"{path}?after={after}")).status == 200, after


async def test_a_page_from_a_message_on_begins_at_its_first(bob: Person, long_room: str) -> None:
    page = await bob.look(long_room, "?after=40")
    assert page.has("#room.from-start")
    assert number(page.all("#earlier li")[0]) == 41
    assert len(page.all("#earlier li")) == 50


async def test_long_texts_around_a_message_do_not_hide_the_way_to_the_others(
    alice: Person, code: str, chat: Context
) -> None:
    long = '"' * 8000  # five times as long as HTML
    changes = await asyncio.gather(*(chat.store.append(code, 1, f"k{n}", f"{n} {long}") for n in range(10)))
    page = (await alice.get(f"/rooms/{code}/{changes[5].message.id}")).page
    shown = [text.split()[0] for text in texts(page)]
    assert shown == ["4", "5", "6"]
    later = (await alice.get(page.one("#later a")["hx-get"])).page
    older = (await alice.get(page.one("#older a")["hx-get"])).page
    assert texts(later)[0].split()[0] == "7"
    assert texts(older)[-1].split()[0] == "3"


async def test_strangers_see_nothing_of_the_past(client: Person, alice: Person, code: str) -> None:
    await alice.write(code, "secret")
    for path in ("later?after=1", "on", "on?date=2027-01-15", "on/2027-01-15", "on/nonsense", "1"):
        reply = await client.get(f"/rooms/{code}/{path}")
        assert reply.status == 403, path
        assert "secret" not in reply.text
    assert "secret" not in (await client.get(f"/rooms/{code}?after=1")).text


# A day


@pytest.fixture
async def days(alice: Person, code: str, clock: FakeClock, chat: Context) -> str:
    """A room with three messages on each of four days: the 15th, the 16th, the 18th and the 19th."""
    for day in (15, 16, 18, 19):
        clock.now = datetime(2027, 1, day, 9, tzinfo=UTC).timestamp() - 1_800_000_000
        for n in range(3):
            clock.pass_by(3600)
            await chat.store.append(code, 1, f"{day}-{n}", f"{day}-{n}")
    return code


@ON_BOTH
async def test_the_line_of_a_day_links_to_it(alice: Person, days: str) -> None:
    lines = (await alice.look(days)).all("#earlier h2 a")
    assert [line["href"] for line in lines] == [f"/rooms/{days}/on/2027-01-{day}" for day in (15, 16, 18, 19)]
    page = (await alice.get(lines[2]["href"])).page
    assert texts(page) == [f"{day}-{n}" for day in (18, 19) for n in range(3)]
    assert page.one("title").words.startswith("Monday, 18 January 2027")
    assert page.has("#room.from-start")
    assert texts((await alice.get(page.one("#older a")["href"])).page) == [
        f"{day}-{n}" for day in (15, 16) for n in range(3)
    ]
    assert page.one(".on-day input[type=date]")["value"] == "2027-01-18"
    assert not page.has(".on-day p")


async def test_a_day_on_which_nobody_wrote_leads_to_the_next_and_says_so(alice: Person, days: str) -> None:
    page = (await alice.get(f"/rooms/{days}/on/2027-01-17")).page
    assert texts(page)[0] == "18-0"
    said = page.one(".on-day p").words
    assert "Nobody wrote on Sunday, 17 January 2027." in said
    assert "from Monday, 18 January 2027" in said


async def test_after_the_last_day_there_are_the_newest_messages(alice: Person, days: str) -> None:
    for day in ("2027-01-20", "9999-12-31"):
        page = (await alice.get(f"/rooms/{days}/on/{day}")).page
        assert texts(page)[-1] == "19-2"
        assert "Nobody has written on" in page.one(".on-day p").words
        assert not page.has("#room.from-start")


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
async def test_before_the_first_day_there_is_the_first(alice: Person, days: str, zone: str) -> None:
    if zone != "UTC":
        await alice.post("/settings", {"zone": zone})
    for day in ("0001-01-01", "1969-12-31", "1970-01-01"):
        page = (await alice.get(f"/rooms/{days}/on/{day}")).page
        assert texts(page)[0] == "15-0"
        assert "Nobody wrote on" in page.one(".on-day p").words


async def test_a_day_is_one_of_the_reader_s_zone(alice: Person, days: str) -> None:
    await alice.post("/settings", {"zone": "Pacific/Kiritimati"})  # 14 hours ahead
    page = (await alice.get(f"/rooms/{days}/on/2027-01-17")).page
    assert texts(page)[0] == "16-0"
    await alice.post("/settings", {"zone": "Pacific/Pago_Pago"})  # 11 hours behind
    page = (await alice.get(f"/rooms/{days}/on/2027-01-17")).page
    assert texts(page)[:2] == ["18-0", "18-1"]


NO_DAYS = [
    "2027-02-29",
    "2027-13-01",
    "2027-00-10",
    "0000-01-01",
    "2027-1-5",
    "20270115",
    "2027-W02-5",
    "10000-01-01",
    "٢٠٢٧-٠١-١٥",
    "yesterday",
    "2027-01-15T00:00",
    "x" * 900,
]


@pytest.mark.parametrize("day", NO_DAYS)
async def test_what_is_no_day_is_said_in_plain_words(alice: Person, code: str, day: str) -> None:
    for path, status in ((f"on/{quote(day)}", 404), (f"on?date={quote(day)}", 422)):
        reply = await alice.get(f"/rooms/{code}/{path}")
        assert reply.status == status
        assert reply.page.one("[role=alert]").words.startswith("There is no such day.")
        assert reply.page.one("input[name=date]")["value"] == day[:11]
        assert reply.page.one("form")["action"] == f"/rooms/{code}/on"


async def test_a_form_leads_to_a_day(alice: Person, code: str) -> None:
    search = (
        await alice.get((await alice.look(code)).one(f"#menu a[href=/rooms/{code}/search]")["href"])
    ).page
    page = (await alice.get(search.one(f"a[href=/rooms/{code}/on]")["href"])).page
    form = page.one(f"form[method=get][action=/rooms/{code}/on]")
    assert form.one("input[type=date]")["name"] == "date"
    reply = await alice.get(f"/rooms/{code}/on?date={TODAY}")
    assert (reply.status, reply.headers["Location"]) == (303, f"/rooms/{code}/on/{TODAY}")


async def test_the_code_of_a_day_may_be_typed_in_any_way(alice: Person, code: str) -> None:
    reply = await alice.get(f"/rooms/{code.lower()}/on/{TODAY}")
    assert (reply.status, reply.headers["Location"]) == (301, f"/rooms/{code}/on/{TODAY}")


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",  # clocks are changed at midnight
        "Africa/Cairo",
        "Asia/Beirut",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",  # by half an hour
        "America/Nuuk",
    ],
)
def test_a_day_begins_at_its_first_moment_also_when_clocks_are_changed(zone: str) -> None:
    look = Look("en", zone, "24")
    day = date(2026, 1, 1)
    while day < date(2027, 1, 1):
        start = start_of(day, look)
        assert start % 900_000 == 0
        assert date_of(start, look) == day
        assert date_of(start - 1, look) < day
        first = datetime.fromtimestamp(start / 1000, ZoneInfo(zone))
        assert (first.hour, first.minute) <= (1, 0)
        day += timedelta(days=1)
