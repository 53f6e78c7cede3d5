"""Who is asking, and from where: the signed cookie, the origin, the address behind a proxy."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from itsdangerous import BadSignature, Signer

from chat.settings import Misconfigured, Settings

COOKIE = "chat"
COOKIE_AGE = 400 * 24 * 3600  # s; browsers keep none longer


class Identities:
    """Random person ids, signed so that nobody can take another's."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="chat.person")

    def new(self) -> str:
        return secrets.token_urlsafe(12)

    def sign(self, person: str) -> str:
        return self._signer.sign(person).decode()

    def person(self, cookie: str | None) -> str | None:
        """The person a cookie was given to; None if it is absent or not ours."""
        try:
            return self._signer.unsign(cookie).decode() if cookie else None
        except (BadSignature, UnicodeError):
            return None


def fingerprint(secret: str) -> str:
    """What tells a secret from others without telling it."""
    return hmac.new(secret.encode(), b"room chat: which key this is", hashlib.sha256).hexdigest()[:16]


def secret_for(settings: Settings) -> str:
    """CHAT_SECRET_KEY, or one made once and kept beside the database. Raises Misconfigured."""
    if settings.secret_key:
        return settings.secret_key
    if not settings.database_url.startswith("sqlite:"):
        raise Misconfigured(
            "CHAT_SECRET_KEY is not set. All nodes that share a database need the same one: "
            "make it with `openssl rand -base64 32` and set it on each."
        )
    path = Path(settings.database_url.partition("://")[2].removeprefix("/")).with_suffix(".key")
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _kept(path)
    except OSError as error:
        raise Misconfigured(
            f"CHAT_SECRET_KEY is not set and {path} cannot be written ({error.strerror}). "
            "Set CHAT_SECRET_KEY, or make the folder writable."
        ) from None
    with os.fdopen(file, "w") as key:
        key.write(secret := secrets.token_urlsafe(32))
        key.flush()
        os.fsync(key.fileno())
    return secret


def _kept(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"CHAT_SECRET_KEY is not set and {path} cannot be read ({error}).") from None
    if len(secret) < 16:
        raise Misconfigured(f"{path} holds no key. Remove it to have a new one made, or set CHAT_SECRET_KEY.")
    return secret


class Headers(Protocol):
    """Header lines by name, whatever the framework."""

    def get(self, key: str, /) -> str | None: ...


class Arrival(NamedTuple):
    """How a request reached us, seen from the browser."""

    address: str
    scheme: str
    host: str


Networks = Sequence[IPv4Network | IPv6Network]


def arrival(headers: Headers, peer: str, scheme: str, host: str, trusted: Networks) -> Arrival:
    """Believe X-Forwarded-* of trusted proxies only; the rightmost address that is not one is the client."""
    if not _among(peer, trusted):
        return Arrival(_network(peer), scheme, host)
    address = peer
    for hop in reversed([h.strip() for h in (headers.get("X-Forwarded-For") or "").split(",") if h.strip()]):
        address = hop
        if not _among(hop, trusted):
            break
    scheme = (headers.get("X-Forwarded-Proto") or scheme).split(",")[-1].strip().lower()
    host = (headers.get("X-Forwarded-Host") or host).split(",")[-1].strip()
    return Arrival(_network(address), scheme, host)


def _among(address: str, networks: Networks) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)


def _network(address: str) -> str:
    """One household's addresses count as one: an IPv6 customer has 2^64 of them."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip) if ip.version == 4 else str(IPv6Network((ip, 64), strict=False))


def same_origin(headers: Headers, host: str, required: bool = False) -> bool:
    """Whether a request comes from one of our own pages.

    Browsers send Origin with every POST and WebSocket; other programs, such as curl, send neither it nor
    Sec-Fetch-Site. `required` refuses those too.
    """
    origin = headers.get("Origin")
    if origin is None:
        return not required and (headers.get("Sec-Fetch-Site") or "none") in {"same-origin", "none"}
    try:
        parts = urlsplit(origin)
    except ValueError:  # a bracket without its other
        return False
    return bool(parts.netloc) and _host_port(parts.netloc, parts.scheme) == _host_port(host, parts.scheme)


def _host_port(netloc: str, scheme: str) -> str:
    default = ":443" if scheme == "https" else ":80"
    return netloc.lower().removesuffix(default)
