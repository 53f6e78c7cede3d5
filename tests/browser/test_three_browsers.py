"""The promises of the room, kept in Chromium, Firefox and WebKit alike. Each scenario is written once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from deployments import ONE, deployed
from serving import Server

from browser.drivers import ENGINES, Engine
from browser.visitors import UNREACHABLE, Visitor, Visitors

# What the browsers differ in has nothing to do with how many nodes there are.
pytestmark = pytest.mark.parametrize("deployment", [ONE], scope="module")
SETTINGS = {"CHAT_RATE_LIMIT": "off"}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=list(ENGINES))
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    ENGINES[request.param].require()
    engine = ENGINES[request.param]()
    yield engine
    await engine.quit()


@pytest.fixture
def nodes(deployment: str, tmp_path: Path) -> Iterator[list[Server]]:
    """A server of this test's own: some tests kill it."""
    with deployed(deployment, tmp_path, SETTINGS) as nodes:
        yield nodes


@pytest_asyncio.fixture(loop_scope="session")
async def visitors(engine: Engine, server: Server) -> AsyncIterator[Visitors]:
    visitors = Visitors(engine, server.url)
    yield visitors
    await visitors.go_home()


async def test_two_people_talk_and_the_console_is_silent(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.type("Hello Bob\n")
    await bob.sees("Hello Bob")
    await bob.type("Hi Ann\nHow are you?\n")
    await ann.sees("How are you?")
    await ann.type("Fine\n")
    for visitor in (ann, bob):
        await visitor.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])
        await visitor.rest()
    await ann.window.reload()
    await ann.in_room()
    await ann.shows(["Hello Bob", "Hi Ann", "How are you?", "Fine"])


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
async def test_a_restart_loses_and_doubles_nothing(
    visitors: Visitors, server: Server, signal: str, request: pytest.FixtureRequest
) -> None:
    if visitors.engine.name == "WebKit":
        reason = "WebKit prefetches nothing, so what says Reconnecting is not there"
        request.applymarker(pytest.mark.xfail(strict=False, reason=reason))
    ann, bob = await visitors.two()
    for visitor in (ann, bob):
        visitor.expected.append(UNREACHABLE)
    await ann.say("before")
    await bob.shows(["before"])
    await ann.type("half a th")
    await stop(server, signal)
    await asyncio.gather(*(says_reconnecting(visitor) for visitor in (ann, bob)))
    await bob.type("while it was down\n")
    await bob.type("and more\n")
    await asyncio.to_thread(server.start)
    for visitor in (ann, bob):
        await visitor.shows(["before", "while it was down", "and more"])
    await bob.rest()
    await ann.window.type("ought\n")
    for visitor in (ann, bob):
        await visitor.shows(["before", "while it was down", "and more", "half a thought"])


async def says_reconnecting(visitor: Visitor) -> None:
    await visitor.window.wait_for("document.querySelector('#status').textContent.includes('Reconnecting')")


async def stop(server: Server, signal: str) -> None:
    if signal == "SIGTERM":
        server.terminate()
        assert await asyncio.to_thread(server.wait) == 0
    else:
        await asyncio.to_thread(server.kill)


GONE = """document.querySelector("#messages") === null && !document.body.textContent.includes("between us")
  && !document.body.textContent.includes("Reconnecting") && location.pathname.startsWith("/rooms/")"""


async def test_back_after_leaving_shows_nothing_of_the_room(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("between us")
    await bob.sees("between us")
    await ann.window.click("header form button")
    await ann.window.wait_for("document.querySelector('#code') !== null")
    for _ in range(3):
        await ann.window.back()
        await ann.window.wait_for(GONE)
        await ann.window.evaluate("setTimeout(() => history.forward())")
        await ann.window.wait_for("document.querySelector('#code') !== null")


async def test_logging_out_ends_the_identity_and_empties_the_pages_behind(visitors: Visitors) -> None:
    ann, bob = await visitors.two()
    await ann.say("between us")
    await bob.sees("between us")
    await ann.window.click("header a.home")
    await ann.window.wait_for("document.querySelector('form.aside button') !== null")
    await ann.window.click("form.aside button")
    await ann.window.wait_for("document.querySelector('#code') && !document.querySelector('form.aside')")
    await bob.window.wait_for("document.querySelector('#messages').textContent.includes('Ann has left')")
    await ann.window.back()
    if (
        await ann.window.evaluate("location.pathname") == "/"
    ):  # twice the same address is one entry in Firefox only
        await ann.window.back()
    await ann.window.wait_for(GONE)
