"""Which addresses this server may be asked under, and whether a request comes from one of its own pages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

LONGEST = 300  # characters of a Host or an Origin

_NAME = r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_.])?"
_HOST = re.compile(rf"({_NAME}|\[[0-9a-f:.]{{2,45}}\])(?::([0-9]{{1,5}}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Headers(Protocol):
    """Header lines by name, whatever the framework."""

    def get(self, key: str, /) -> str | None: ...


class Host(NamedTuple):
    """A host as browsers write it; names in other scripts as punycode."""

    name: str
    port: int | None


def parse_host(text: str) -> Host | None:
    """The host in `chat.example.com`, `my_chat:8000`, `example.com.` or `[::1]:8000`; None for others."""
    if len(text) > LONGEST:
        return None
    found = _HOST.fullmatch(text.lower())
    if not found or ".." in found[1] or int(found[2] or 1) > 65535:
        return None
    return Host(found[1], int(found[2]) if found[2] else None)


def parse_allowed(text: str) -> Host:
    """A host of CHAT_HOSTS, whose name may be in any script. Raises ValueError."""
    name, colon, port = text.partition(":") if not text.startswith("[") else (text, "", "")
    name = name if name.isascii() else name.encode("idna").decode()
    host = parse_host(f"{name}{colon}{port}")
    if host is None:
        raise ValueError(f"{text!r} is no host")
    return host._replace(name=host.name.removesuffix("."))


def is_allowed(host: Host, scheme: str, allowed: Sequence[Host]) -> bool:
    """Whether one of CHAT_HOSTS is this one; an entry without a port stands for every port."""
    port = host.port or _DEFAULT_PORTS.get(scheme)
    name = host.name.removesuffix(".")
    return not allowed or any(name == one.name and one.port in {None, port} for one in allowed)


def same_origin(headers: Headers, scheme: str, host: str, required: bool = False) -> bool:
    """Whether a request comes from one of our own pages: scheme, host and port are the same.

    Browsers send Origin with every POST and WebSocket; other programs, such as curl, send neither it nor
    Sec-Fetch-Site. `required` refuses those too.
    """
    origin = headers.get("Origin")
    if origin is None:
        return not required and (headers.get("Sec-Fetch-Site") or "none") in {"same-origin", "none"}
    ours = _origin(f"{scheme}://{host}")
    return ours is not None and ours == _origin(origin)


def is_used_elsewhere(headers: Headers) -> bool:
    """Whether a page of another origin embeds or fetches what is asked for; a link to it is none of that.

    Browsers say so, but over plain HTTP only of this machine.
    """
    if (headers.get("Sec-Fetch-Site") or "none") in {"same-origin", "none"}:
        return False
    use = headers.get("Sec-Fetch-Mode") or "navigate", headers.get("Sec-Fetch-Dest") or "document"
    return use != ("navigate", "document")


def behind_unknown_proxy(headers: Headers, host: str) -> bool:
    """Whether a refused request probably is of a page of ours, through a proxy that is not trusted.

    The browser says that it stays on one site, or only the scheme is another.
    """
    if headers.get("Sec-Fetch-Site") == "same-origin":
        return True
    theirs = _origin(headers.get("Origin") or "")
    return theirs is not None and theirs == _origin(f"{theirs[0]}://{host}")


def _origin(text: str) -> tuple[str, str, int] | None:
    scheme, separator, rest = text[: LONGEST + 1].partition("://")
    scheme = scheme.lower()
    host = parse_host(rest)
    if not separator or scheme not in _DEFAULT_PORTS or host is None:
        return None
    return scheme, host.name, host.port or _DEFAULT_PORTS[scheme]
