"""Who is asking, and from where: the signed cookie, and the address behind a proxy."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import NamedTuple, Protocol

from itsdangerous import BadSignature, Signer

from chat import addresses
from chat.addresses import Networks
from chat.private import require_private
from chat.settings import Misconfigured, Settings

FORMER_COOKIE = "chat"  # of version 0.1; still known, and renewed under the present name
SECURE_COOKIE = "__Host-chat"  # browsers take it over https only, and from no other host
COOKIES = 8  # of one name that are looked at
COOKIE_LENGTH = 200  # characters
COOKIE_AGE = 400 * 24 * 3600  # s; browsers keep none longer
LONGEST_VALUE = 300  # characters of X-Forwarded-Host


class Cookies(Protocol):
    """The values of every cookie of a name, whatever the framework."""

    def getlist(self, key: str, /) -> list[str]: ...


class Found(NamedTuple):
    person: str
    renew: bool  # it came under a former name


class Identities:
    """Random person ids, signed so that they cannot be forged."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="chat.person")
        # Cookies do not know ports: two installations on one host would replace each other's.
        ours = hmac.new(secret.encode(), b"room chat: name of the cookie", hashlib.sha256).hexdigest()
        self._plain_cookie = f"chat-{ours[:8]}"

    def cookie_name(self, scheme: str) -> str:
        return SECURE_COOKIE if scheme == "https" else self._plain_cookie

    def cookie_names(self) -> tuple[str, ...]:
        return SECURE_COOKIE, self._plain_cookie, FORMER_COOKIE

    def find(self, cookies: Cookies, scheme: str) -> Found | None:
        """The person of the first cookie that is ours; the present name counts before former ones.

        Over https only the name that another host cannot set counts: a neighbour of the domain, or somebody
        on the line, would else give a newcomer an identity of theirs, and read what it may read.
        """
        present = self.cookie_name(scheme)
        for name in (present,) if scheme == "https" else (present, FORMER_COOKIE):
            for cookie in cookies.getlist(name)[:COOKIES]:
                if person := self.person(cookie[: COOKIE_LENGTH + 1]):
                    return Found(person, renew=name != present)
        return None

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
    """Identifies a secret without revealing it."""
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
    path = _key_file(settings)
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


def kept_secret(settings: Settings) -> str:
    """The key of a chat that has run before; none is made. Raises Misconfigured."""
    if not settings.secret_key and settings.database_url.startswith("sqlite:"):
        return _kept(_key_file(settings))
    return secret_for(settings)


def _key_file(settings: Settings) -> Path:
    return Path(settings.database_url.partition("://")[2].removeprefix("/")).with_suffix(".key")


def _kept(path: Path) -> str:
    require_private(str(path), "CHAT_SECRET_KEY is not set")
    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"CHAT_SECRET_KEY is not set and {path} cannot be read ({error}).") from None
    if len(secret) < 16:
        raise Misconfigured(f"{path} holds no key. Remove it to have a new one made, or set CHAT_SECRET_KEY.")
    return secret


class HeaderLines(Protocol):
    """Every header line of a name, whatever the framework."""

    def getlist(self, key: str, /) -> list[str]: ...


class ClientInfo(NamedTuple):
    """The client's address, and the scheme and host that it used."""

    address: str
    scheme: str
    host: str


SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def parse_client(headers: HeaderLines, peer: str, scheme: str, host: str, trusted: Networks) -> ClientInfo:
    """Believe X-Forwarded-* of trusted proxies only; the rightmost address that is not one is the client."""
    address = addresses.parse(peer)
    scheme = SCHEMES.get(scheme, scheme)
    if address is not None and addresses.is_among(address, trusted):
        address = addresses.client(peer, headers.getlist("X-Forwarded-For"), trusted)
        scheme = SCHEMES.get(_last(headers, "X-Forwarded-Proto").lower(), scheme)
        host = _last(headers, "X-Forwarded-Host") or host
    return ClientInfo(addresses.bucket_of(address, peer), scheme, host)


def _last(headers: HeaderLines, name: str) -> str:
    """What the nearest proxy says: it appends to the line it was sent, or adds another one."""
    for line in reversed(headers.getlist(name)):
        if value := line.rstrip(", ")[-LONGEST_VALUE:].rpartition(",")[2].strip():
            return value
    return ""
