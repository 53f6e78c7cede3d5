"""axe-core finds nothing on any page, in either colour scheme."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from deployments import ONE
from playwright.async_api import expect
from serving import Server

from browser.conftest import CACHE
from browser.drivers import Window
from browser.people import People, Scheme, Tab, crowd
from browser.visitors import Visitors
from chat.app import create_app

SETTINGS = {"CHAT_RATE_LIMIT": "off"}
# The same code writes the same HTML on both deployments.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
AXE = "axe-core@4.14.1"
# axe is not ours, so the policy stops it; and a message that is fading in has too little contrast.
STILL: dict[str, Any] = {"bypass_csp": True, "reduced_motion": "reduce"}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
RUN = """async tags => { const r = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return r.violations.map(v => v.id + ": " + v.help + "\\n"
    + v.nodes.map(n => "  " + n.html + "\\n  " + n.failureSummary).join("\\n")) }"""

END = """document.getAnimations().filter(a => a.effect.getComputedTiming().iterations < 1000)
  .map(a => a.finish())"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script, from CHAT_TEST_AXE, from the cache, or once from npm."""
    path = Path(os.environ.get("CHAT_TEST_AXE") or CACHE / "axe.min.js")
    if not path.exists():
        try:
            _obtain(path)
        except (OSError, subprocess.SubprocessError) as error:
            reason = f"no axe-core ({error}): run `npm pack {AXE}` and set CHAT_TEST_AXE to its axe.min.js"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return path.read_text()


def _obtain(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    said = subprocess.run(
        ["npm", "pack", "--silent", AXE],
        cwd=path.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    archive = path.parent / said.stdout.split()[-1]
    with tarfile.open(fileobj=BytesIO(archive.read_bytes())) as files:
        script = files.extractfile("package/axe.min.js")
        assert script
        path.write_bytes(script.read())
    archive.unlink()


async def check(tab: Tab, axe: str, what: str, *, allowed: str = "") -> None:
    if not await tab.page.evaluate("() => 'axe' in window"):
        await tab.page.evaluate(axe)
    found = await tab.page.evaluate(RUN, TAGS)
    violations = [violation for violation in found if not allowed or not violation.startswith(allowed)]
    assert not violations, f"{what}:\n" + "\n".join(violations)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_list_of_many_rooms_has_no_violation(
    people: People, server: Server, axe: str, scheme: str
) -> None:
    ann = await people.newcomer(scheme=cast(Scheme, scheme), **STILL)
    for number in range(24):  # so that most colours are among them
        form: dict[str, str | float | bool] = {"name": "Ann", "title": f"Regatta {number}" * (number % 3)}
        await ann.page.context.request.post(ann.url, form=form | {"create": "1"}, max_redirects=0)
    (other,) = await crowd(server.port, await ann.open_room("Ann"), ["Bob"])
    await ann.sees("I am Bob")
    await ann.told_of("Bob")
    await other.send_text(json.dumps({"body": "unread " * 30, "key": "other"}))
    await ann.page.goto(ann.url)
    await expect(ann.page.locator("#rooms li")).to_have_count(25)
    for width in (1280, 320):
        await ann.page.set_viewport_size({"width": width, "height": 800})
        await check(ann, axe, f"home with rooms, {width} px wide")
        assert await ann.page.evaluate("document.documentElement.scrollWidth") == width
    other.cut()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_violation(people: People, server: Server, axe: str, scheme: str) -> None:
    ann = await people.newcomer(scheme=cast(Scheme, scheme), **STILL)
    await ann.page.goto(ann.url)
    await check(ann, axe, "home")
    with ann.noise_expected("422|404"):
        await ann.page.get_by_role("button", name="Join a Room").click()
        await expect(ann.page.get_by_role("alert")).to_have_count(2)
        await check(ann, axe, "home with errors")
        await ann.page.goto(f"{ann.url}/rooms/22222222")
        await check(ann, axe, "error page")

    code = await ann.open_room("Ann")
    await ann.live()
    await check(ann, axe, "an empty room")
    visitor = await people.newcomer(scheme=cast(Scheme, scheme), **STILL)
    await visitor.page.goto(f"{visitor.url}/rooms/{code}")
    await check(visitor, axe, "join")

    # More people than colours, and several of one name.
    others = await crowd(server.port, code, [f"P{n // 2}" for n in range(13)])
    await expect(ann.page.locator("#roster .count")).to_have_text("14")
    await ann.page.set_viewport_size({"width": 1280, "height": 2000})
    await check(ann, axe, "a crowd")
    await ann.write_history(80)
    await ann.sees("number 79")
    await check(ann, axe, "a room with messages from the socket")
    await ann.page.reload()
    await ann.live()
    await ann.page.set_viewport_size({"width": 390, "height": 844})
    await check(ann, axe, "a room with messages from the page, on a phone")
    await ann.page.goto(f"{ann.url}/rooms/{code}?before=40")
    await check(ann, axe, "older messages")
    await ann.page.goto(f"{ann.url}/rooms/{code}")
    await ann.live()

    await ann.open_menu()
    await check(ann, axe, "the menu")
    await ann.page.get_by_role("button", name="Invite people").click()
    await expect(ann.page.locator("#invitation")).to_be_visible()
    await check(ann, axe, "the sheet to invite")
    await ann.page.keyboard.press("Escape")
    await ann.page.keyboard.press("Escape")
    await ann.page.get_by_role("button", name="14 here").click()
    await expect(ann.page.locator("#roster")).to_be_visible()
    await check(ann, axe, "the sheet of people")
    await ann.page.keyboard.press("Escape")
    await ann.page.set_viewport_size({"width": 1280, "height": 800})
    await ann.page.get_by_role("link", name="Title and topic").first.click()
    await expect(ann.page.locator("#describe")).to_be_visible()
    await check(ann, axe, "the form for the title")
    await ann.page.get_by_label("What is it about?").fill("Saturday regatta")
    await ann.page.get_by_label("Topic", exact=True).fill("Start 11:00")
    await ann.page.locator("#describe").get_by_role("button", name="Save").click()
    await expect(ann.page.locator(".topic")).to_have_text("Start 11:00")
    await check(ann, axe, "a room with a title")
    await ann.page.goto(f"{ann.url}/rooms/{code}/title")
    await check(ann, axe, "the page for the title")
    await ann.page.goto(f"{ann.url}/rooms/{code}/name")
    await check(ann, axe, "the page for the name")
    await ann.page.goto(f"{ann.url}/rooms/{code}/comings")
    await check(ann, axe, "the page for comings and goings")
    for query in ("", "?q=message", "?q=nowhere"):
        await ann.page.goto(f"{ann.url}/rooms/{code}/search{query}")
        await check(ann, axe, f"a search {query}")
    with ann.noise_expected("422"):
        await ann.page.goto(f"{ann.url}/rooms/{code}/search?q=before:x")
        await check(ann, axe, "a search that is not understood")
    await ann.page.goto(f"{ann.url}/search?q=message")
    await check(ann, axe, "a search in all rooms")
    await ann.page.goto(f"{ann.url}/rooms/{code}/leave")
    await check(ann, axe, "the page for leaving")
    await ann.page.get_by_role("button", name="Leave for good").click()
    await expect(ann.page.get_by_role("button", name="Go back in")).to_be_visible()
    await check(ann, axe, "home after leaving")
    await ann.page.get_by_role("button", name="Go back in").click()
    await visitor.page.reload()
    await check(visitor, axe, "join a room with a title")
    await ann.page.goto(f"{ann.url}/rooms/{code}")
    await ann.live()

    await ann.choose(ann.newest)
    await check(ann, axe, "a message is chosen")
    for button in ("Edit", "Delete"):
        await ann.page.locator("#pal").get_by_role("button", name=button).click()
        await expect(ann.page.locator("#acting form")).to_be_visible()
        await check(ann, axe, f"the form to {button}")
        await ann.choose(ann.newest)
    await ann.page.locator("#pal").get_by_role("button", name="Another emoji").click()
    await expect(ann.page.locator("#emojis input").first).to_be_visible()
    await check(ann, axe, "the form to react")
    await ann.choose(ann.newest, "Thumbs up")
    await expect(ann.page.get_by_role("button", name="👍 1", pressed=True)).to_be_visible()
    await ann.finish_animations()
    await check(ann, axe, "a reaction")
    await ann.choose(ann.newest, "Reply")
    await ann.say("A reply")
    await ann.rest()
    await ann.choose(ann.newest, "Reply")
    await expect(ann.page.locator("#replies .quote")).to_be_visible()
    await ann.finish_animations()
    await check(ann, axe, "a reply, and another one that is being written")
    await ann.say("@P1, @all")
    await ann.type("@p")
    await expect(ann.page.locator("#hint .names button")).to_have_count(6)
    await ann.finish_animations()
    await check(ann, axe, "mentions, and names while another one is typed")
    await ann.page.goto(f"{ann.url}{await ann.page.locator('.by > a').last.get_attribute('href')}")
    await check(ann, axe, "the page of a message")
    await ann.page.locator("#edit textarea").fill("changed")
    await ann.page.get_by_role("button", name="Save").click()
    await ann.page.locator("details.edited summary").click()
    await check(ann, axe, "what a message said before")
    await ann.page.goto(f"{ann.url}/rooms/{code}")
    await ann.live()
    await check(ann, axe, "an edited message")

    await ann.say("x" * 9000)
    await expect(ann.page.locator("#refused form")).to_be_visible()
    await check(ann, axe, "refused text")
    await ann.page.get_by_role("button", name="Write several lines").click()
    await expect(ann.page.locator("#texts textarea")).to_be_visible()
    await check(ann, axe, "many lines")
    await ann.go_offline()
    await ann.finish_animations()
    await check(ann, axe, "no contact")
    for socket in others:
        socket.cut()


# Every address that is a page, and how a member of a room comes there.
PAGES = {
    "/": "/",
    "/settings": "/settings",
    "/help": "/help",
    "/join": "/join",  # without a code, it is asked for
    "/rooms/<code>": "/rooms/CODE",
    "/rooms/<code>/<id>": "/rooms/CODE/ID",
    "/rooms/<code>/<id>/reactions": "/rooms/CODE/ID/reactions?group=1",
    "/rooms/<code>/comings": "/rooms/CODE/comings",
    "/rooms/<code>/ignore": "/rooms/CODE/ignore",
    "/rooms/<code>/leave": "/rooms/CODE/leave",
    "/rooms/<code>/name": "/rooms/CODE/name",
    "/rooms/<code>/on": "/rooms/CODE/on?date=nonsense",
    "/rooms/<code>/on/<day>": "/rooms/CODE/on/2020-02-29",
    "/rooms/<code>/search": "/rooms/CODE/search?q=hello",
    "/rooms/<code>/title": "/rooms/CODE/title",
    "/search": "/search?q=hello",
}
NO_PAGES = {
    *("/favicon.ico", "/healthz", "/metrics", "/static/<path:path>", "/seats/<numbers>.css"),
    *("/seats/<version>/<numbers>.css", "/seats/<version>/ignored/<numbers>.css"),
    *("/rooms/<code>/qr.svg", "/rooms/<code>/live", "/live"),
    *("/rooms", "/rooms/<code>/earlier", "/rooms/<code>/later"),  # parts of pages
    *(
        "/rooms/<code>/last",
        "/rooms/<code>/messages",
        "/rooms/<code>/composer",
        "/rooms/<code>/draft",
        "/rooms/<code>/<id>/<name>",
    ),  # lead to others
    "/rooms/<code>/stream",  # has a test of its own
}


def test_every_address_that_is_a_page_is_looked_at(deployment: str) -> None:
    addresses = {str(rule) for rule in create_app().url_map.iter_rules() if "GET" in (rule.methods or ())}
    assert addresses - NO_PAGES == set(PAGES)


ZOOMED = 320, 256  # 400 % of 1280 × 1024


@pytest.mark.parametrize(
    ("scheme", "size"), [("light", (1280, 800)), ("dark", (1280, 800)), ("light", ZOOMED)]
)
async def test_no_browser_finds_a_violation_on_any_page(
    visitors: Visitors, axe: str, scheme: Scheme, size: tuple[int, int]
) -> None:
    width, height = size
    ann = await visitors.newcomer(scheme=scheme, width=width, height=height)
    guest = await visitors.newcomer(scheme=scheme, width=width, height=height)
    for visitor in (ann, guest):
        visitor.expected.append("40[34]|422")
    code = await ann.open_room("Ann")
    await ann.say("Hello, see https://example.com")
    await ann.sees("Hello, see https://example.com")
    id = await ann.window.evaluate("document.querySelector('#messages .m[data-by]').id.slice(8)")
    for path in ("/", f"/rooms/{code}", f"/rooms/{code}/earlier", "/rooms/2222-2222-2222"):
        await guest.window.open(guest.url + path)
        await look(guest.window, axe, f"{path} for a guest")
    for path in PAGES.values():
        path = path.replace("CODE", code).replace("ID", str(id))
        await ann.window.open(ann.url + path)
        await look(ann.window, axe, path)


async def look(window: Window, axe: str, what: str) -> None:
    """As `check`, in any browser; what is moving has come to its end, and nothing sticks out."""
    await window.wait_for("document.readyState === 'complete'")
    await window.evaluate(f"(() => {{ {axe}\n; return true }})()")
    await window.evaluate(f"({END}, ({RUN})({TAGS}).then(found => {{ window.found = found }}), true)")
    violations = await window.wait_for("'found' in window && {violations: window.found}")
    assert await window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, what
    assert not violations["violations"], f"{what}:\n" + "\n".join(violations["violations"])


async def test_the_live_frame_without_javascript_has_no_violation(people: People, axe: str) -> None:
    ann = await people.newcomer(**STILL)
    code = await ann.open_room("Ann")
    await ann.write_history(60)
    await ann.page.goto(f"{ann.url}/rooms/{code}/stream", wait_until="commit")
    await expect(ann.page.get_by_text("number 59")).to_be_visible()
    # Its refresh waits for the end of the page, which comes only when the server ends.
    await check(ann, axe, "the live frame", allowed="meta-refresh")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_choice_of_drafts_has_no_violation(people: People, axe: str, scheme: str) -> None:
    ann = await people.newcomer(scheme=cast(Scheme, scheme), **STILL)
    url = f"{ann.url}/rooms/{await ann.open_room('Ann')}"
    for device in ("phone", "desk", "train"):
        draft: dict[str, str | float | bool] = {"body": f"from the {device} " * 20, "key": device}
        await ann.page.context.request.post(f"{url}/draft", form=draft, max_redirects=0)
    await ann.page.goto(url)
    await expect(ann.page.locator(".drafts .act")).to_have_count(2)
    for width in (1280, 320):
        await ann.page.set_viewport_size({"width": width, "height": 800})
        await check(ann, axe, f"a choice of drafts, {width} px wide")
        assert await ann.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_page_that_begins_after_what_is_new_has_no_violation(
    people: People, axe: str, scheme: str
) -> None:
    ann = await people.newcomer(**STILL)
    code = await ann.open_room("Ann")
    bob = await people.newcomer(scheme=cast(Scheme, scheme), **STILL)
    await bob.join_room(code, "Bob")
    await bob.page.goto(f"{ann.url}/settings")
    await ann.write_history(60)
    await bob.page.goto(f"{ann.url}/rooms/{code}")
    await expect(bob.page.get_by_role("button", name="Mark as read")).to_be_visible()
    for width in (1280, 320):
        await bob.page.set_viewport_size({"width": width, "height": 800})
        await check(bob, axe, f"a page that is behind, {width} px wide")
        assert await bob.page.evaluate("document.documentElement.scrollWidth") == width
    await bob.page.get_by_role("button", name="Mark as read").focus()
    await bob.page.keyboard.press("Enter")
    await expect(bob.page.locator(".new")).to_have_count(0)


async def test_a_farewell_is_announced(people: People, axe: str) -> None:
    ann = await people.newcomer(**STILL)
    await ann.open_room("Ann")
    second = await people.another_tab(ann)
    await second.page.goto(ann.page.url)
    await second.live()
    await ann.leave()
    await expect(second.page.get_by_role("alert")).to_be_visible()
    await check(second, axe, "goodbye")


async def test_only_new_messages_are_announced(people: People) -> None:
    ann, bob = await people.two()
    await ann.write_history(60, "old {}")
    await bob.page.reload()
    await bob.live()
    await ann.say("new")
    await bob.sees("new")
    log: Any = bob.page.get_by_role("log")
    await expect(log).to_have_count(1)
    await expect(log.locator(".text")).to_have_text(["new"])


async def test_the_line_before_what_is_new_is_a_heading_and_not_announced(people: People, axe: str) -> None:
    ann, bob = await people.newcomer(), await people.newcomer(**STILL)
    await bob.join_room(await ann.open_room("Ann"), "Bob")
    await bob.live()
    await bob.field.focus()  # which comes late, or not at all, to a window behind another
    await bob.page.evaluate("(dispatchEvent(new Event('focus')), dispatchEvent(new Event('blur')))")
    await ann.say("early")  # the server may hear of it before it hears that Bob is away
    await bob.sees("early")
    await ann.say("new")
    log: Any = bob.page.get_by_role("log")
    line = log.get_by_role("listitem").filter(has=bob.page.get_by_role("heading", name="New messages"))
    await expect(line).to_have_count(1)
    await expect(line).to_have_attribute("aria-live", "off")
    await check(bob, axe, "new")
