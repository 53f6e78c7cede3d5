"""Requests refused for their Host or their Origin, with what their sender and the operator can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.logs import Repeats, quoted
from chat.origins import Headers, Host, is_allowed, parse_host
from chat.visitors import ClientInfo

BEHIND_A_PROXY = (
    "If you run this chat behind a proxy: have the proxy send X-Forwarded-Host and X-Forwarded-Proto, and "
    "set CHAT_TRUSTED_PROXIES to its address."
)


class Refusal(NamedTuple):
    status: int
    title: str
    text: str


def refuse_host(client: ClientInfo, allowed: Sequence[Host], repeats: Repeats) -> Refusal | None:
    """Whether nothing is served under this address."""
    host = parse_host(client.host)
    if host is None:
        repeats.event("host-refused", host=quoted(client.host), reason="unreadable")
        return Refusal(
            400,
            "This address does not work",
            f"The server was asked for as “{client.host[:100]}”, which is not how the name of a host is "
            "written. Names in other scripts are sent as punycode (xn--…), as browsers do.",
        )
    if is_allowed(host, client.scheme, allowed):
        return None
    repeats.event("host-refused", host=quoted(client.host), reason="not-in-CHAT_HOSTS")
    return Refusal(
        421,
        "This address does not work",
        f"The chat is not served under {client.host}. If it should be, its operator can add that to "
        "CHAT_HOSTS.",
    )


def refuse_origin(headers: Headers, client: ClientInfo, repeats: Repeats) -> Refusal:
    """What to say of a form or a WebSocket that is not known to come from one of our pages."""
    origin, ours = headers.get("Origin"), f"{client.scheme}://{client.host}"
    repeats.event(
        "origin-refused",
        origin=quoted(origin or "-"),
        expected=quoted(ours),
        hint="behind-a-proxy-set-CHAT_TRUSTED_PROXIES",
    )
    if origin is None:
        text = "This was sent from another site."
    else:
        text = f"This was sent from {origin[:100]}, but the server was asked for as {ours[:100]}."
    return Refusal(
        403,
        "Not for you",
        f"{text} Nothing was done. Open the chat at its own address and try again there. {BEHIND_A_PROXY}",
    )
