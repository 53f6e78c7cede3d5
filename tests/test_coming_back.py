"""How long a page waits before it connects again, and that the clients of the tests wait as it does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from bench import client
from chaos import tab

REPO = Path(__file__).parents[1]
LATEST = (
    3.0  # s after a server is up again until the last page tries: 3,000 are current within 8 s of its end
)


@pytest.fixture
def config() -> dict[str, Any]:
    page = (REPO / "templates" / "room.html").read_text("utf-8")
    found = re.search(r"hx-config='(\{\"ws\":.*?\})'", page)
    assert found
    extension = (REPO / "static" / "vendor" / "hx-ws.min.js").read_text("utf-8")
    usual = re.search(r"reconnectDelay:(\d+),", extension)
    assert usual
    ws: dict[str, Any] = {"reconnectDelay": int(usual[1])} | json.loads(found[1])["ws"]
    return ws


def test_no_page_waits_long_for_a_server_that_is_up_again(config: dict[str, Any]) -> None:
    assert config["reconnectMaxDelay"] / 1000 * (1 + config["reconnectJitter"]) <= LATEST
    assert config["reconnectJitter"] >= 0.5, "they come spread, not all at once"


@pytest.mark.parametrize("clients", [tab, client], ids=["chaos", "bench"])
def test_the_clients_of_the_tests_wait_as_the_page_does(config: dict[str, Any], clients: Any) -> None:
    waits = config["reconnectDelay"] / 1000, config["reconnectMaxDelay"] / 1000, config["reconnectJitter"]
    assert waits == (clients.BACKOFF, clients.LONGEST, clients.JITTER)
    assert set(config["reconnectCodes"]) == tab.AGAIN


def test_the_extension_doubles_the_delay_up_to_the_longest_and_spreads_it() -> None:
    """As the clients of the tests have it written in Python."""
    extension = (REPO / "static" / "vendor" / "hx-ws.min.js").read_text("utf-8")
    assert "Math.min(s*Math.pow(2,r-1),a)" in extension
    assert "let e=l*o.reconnectJitter;l=Math.max(0,l+(2*Math.random()-1)*e)" in extension
    assert "n.attempt=0" in extension, "a connection that opened starts anew"
