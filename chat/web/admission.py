"""Requests refused for their Host or their Origin, with what their sender and the operator can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chat.logs import Repeats, quoted
from chat.model.sentences import Sentence
from chat.origins import Headers, Host, is_allowed, parse_host
from chat.visitors import ClientInfo

BEHIND_A_PROXY = (
    "If you run this chat behind a proxy: have the proxy send X-Forwarded-Host and X-Forwarded-Proto, and "
    "set CHAT_TRUSTED_PROXIES to its address."
)
UNREADABLE = (
    "The server was asked for as “%(host)s”, which is not how the name of a host is written. Names in other "
    "scripts are sent as punycode (xn--…), as browsers do."
)
NOT_SERVED = (
    "The chat is not served under %(host)s. If it should be, its operator can add that to CHAT_HOSTS."
)
OTHER_ORIGIN = "This was sent from %(origin)s, but the server was asked for as %(ours)s."
NOTHING_DONE = "Nothing was done. Open the chat at its own address and try again there."


class Refusal(NamedTuple):
    status: int
    title: str
    text: str


def refuse_host(client: ClientInfo, allowed: Sequence[Host], repeats: Repeats) -> Refusal | None:
    """Whether nothing is served under this address."""
    host = parse_host(client.host)
    if host is None:
        status, reason, text = 400, "unreadable", Sentence(UNREADABLE, host=client.host[:100])
    elif is_allowed(host, client.scheme, allowed):
        return None
    else:
        status, reason, text = 421, "not-in-CHAT_HOSTS", Sentence(NOT_SERVED, host=client.host)
    repeats.event("host-refused", host=quoted(client.host), reason=reason)
    return Refusal(status, "This address does not work", text)


def refuse_origin(headers: Headers, client: ClientInfo, repeats: Repeats) -> Refusal:
    """What to say of a form or a WebSocket that is not known to come from one of our pages."""
    origin, ours = headers.get("Origin"), f"{client.scheme}://{client.host}"
    repeats.event(
        "origin-refused",
        origin=quoted(origin or "-"),
        expected=quoted(ours),
        hint="behind-a-proxy-set-CHAT_TRUSTED_PROXIES",
    )
    after = NOTHING_DONE, BEHIND_A_PROXY
    if origin is None:
        text = Sentence("This was sent from another site.", after=after)
    else:
        text = Sentence(OTHER_ORIGIN, after=after, origin=origin[:100], ours=ours[:100])
    return Refusal(403, "Not done", text)
