"""The lines of the live page without JavaScript: which place each gets."""

from __future__ import annotations

from dom import parse

from chat.model.messages import Message
from chat.views.stream_lines import PLACES, StreamLines

NEWEST = 20  # rev of the room when the page begins


def _message(id: int) -> Message:
    return Message(id, id, 1_800_000_000_000, 1, "Ann", 1, f"text {id}")


def _slots(lines: StreamLines, *ids: int) -> list[str]:
    html = "".join(lines.of((_message(id), f'<li id="message-{id}">text {id}</li>') for id in ids))
    return [line.attributes.get("slot", "") for line in parse(html).all("li")]


def test_there_is_a_place_for_each_message_on_the_page_and_for_those_to_come() -> None:
    lines = StreamLines(map(_message, (10, 15)), NEWEST)
    assert lines.places[:4] == [10, 15, 21, 22]
    assert lines.places[-1] == NEWEST + PLACES
    assert _slots(lines, 10, 15, 21, 22, 15) == ["10", "15", "21", "22", "15"]


def test_what_changes_before_the_page_begins_is_not_shown() -> None:
    assert _slots(StreamLines(map(_message, (10, 15)), NEWEST), 3, 10) == ["10"]
    assert _slots(StreamLines([], NEWEST), 3, 21) == ["21"]


def test_beyond_the_last_place_lines_are_put_at_the_end() -> None:
    assert _slots(StreamLines([], NEWEST), NEWEST + PLACES, NEWEST + PLACES + 1) == [str(NEWEST + PLACES), ""]


def test_a_line_that_is_no_message_follows_the_newest() -> None:
    lines = StreamLines([_message(10)], NEWEST)
    assert "slot=10" in lines.aside("<li>away</li>")
    assert _slots(lines, 21, 10) == ["21", "10"]
    assert lines.aside("<li>away</li>") == "<li slot=21>away</li>"
    assert StreamLines([], 0).aside("<li>away</li>") == "<li>away</li>"
