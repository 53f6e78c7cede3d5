"""Parts of the past as they are shown: as many messages as fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chat.model.changes import Page
from chat.model.messages import Message
from chat.views.kept import byte_length
from chat.views.look import Look
from chat.views.messages import PAGE, RenderedMessages, Shown


async def from_start(rendered: RenderedMessages, code: str, page: Page, look: Look) -> Shown:
    """The oldest messages of a page that fit, at least one; whatever else there is, is later."""
    parts = await fitting(rendered, code, page.messages, look, PAGE, least=1)
    is_cut = len(parts) < len(page.messages)
    return Shown(replace(page, messages=page.messages[: len(parts)], later=page.later or is_cut), parts)


async def fitting(
    rendered: RenderedMessages,
    code: str,
    messages: Sequence[Message],
    look: Look,
    most: int,
    least: int = 0,
) -> list[str]:
    """The HTML of as many of the first ones as take at most so many bytes, but of at least so many."""
    parts: list[str] = []
    total = 0
    async for html in rendered.each(code, messages, look):
        total += byte_length(html)
        if total > most and len(parts) >= least:
            break
        parts.append(html)
    return parts
