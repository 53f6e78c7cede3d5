"""Every CHAT_* setting: its default, its unit and its bounds."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from chat.addresses import Network, parse_network
from chat.languages import LANGUAGES
from chat.origins import Host, parse_allowed
from chat.zones import zone_named

SMALLEST = 10 * 2**20  # bytes; the write-ahead log alone takes four


class Misconfigured(Exception):
    """A setting is wrong. The message names it and says how to fix it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process. Each field's `doc` is its text in the README."""

    database_url: str = field(
        default="sqlite:///chat.db",
        repr=False,
        metadata={
            "doc": "Where rooms and messages are stored. `sqlite:////var/lib/chat/chat.db` is an absolute "
            "path; `postgresql://user:password@host/database` is for several nodes, and may name several "
            "hosts."
        },
    )
    redis_url: str = field(
        default="",
        repr=False,
        metadata={
            "doc": "Redis or Valkey 7 or newer, which connects several processes on one PostgreSQL "
            "database: `redis://` or, over TLS, `rediss://`; nodes of a Redis Cluster separated by "
            "commas. None by default: one process."
        },
    )
    secret_key: str = field(
        default="",
        repr=False,
        metadata={
            "doc": "Signs the cookie that says who somebody is; at least 16 characters. "
            "If not set, it is made once and stored beside the SQLite file (mode 0600); with PostgreSQL it "
            "has to be set."
        },
    )
    rate_limit: bool = field(
        default=True, metadata={"doc": "`off` lifts every rate limit. For load tests only."}
    )
    max_bytes: int = field(
        default=0,
        metadata={
            "doc": "How much disk messages, rooms and people may take, such as `20G` (or `500M`, or bytes). "
            "At 95 % of it new messages, rooms and people are refused; reading, leaving and deleting go on. "
            "No limit by default, but 64 MiB of the disk of a SQLite file stay free."
        },
    )
    edit_hours: int = field(
        default=24,
        metadata={
            "doc": "For how many hours people can change a text that they have sent; `0`: not at all. They "
            "can delete it at any time."
        },
    )
    trusted_proxies: tuple[Network, ...] = field(
        default=(),
        metadata={
            "doc": "Addresses or networks, separated by commas, whose `X-Forwarded-For`, "
            "`X-Forwarded-Proto` and `X-Forwarded-Host` are believed. None by default."
        },
    )
    hosts: tuple[Host, ...] = field(
        default=(),
        metadata={
            "doc": "Hosts, separated by commas, that the chat may be reached by, such as "
            "`chat.example.com, localhost:8000`; any other is refused, which keeps out sites that rebind "
            "their name to this server's address. Any host by default."
        },
    )

    timezone: str = field(
        default="",
        metadata={
            "doc": "The time zone of those who have not chosen one, such as `Europe/Berlin`. If it is not "
            "set, they see UTC, and a link by which to choose."
        },
    )
    language: str = field(
        default="en",
        metadata={
            "doc": "The language of those who have not chosen one, and whose browser asks for none of these: "
            "`en`, `de`, `es`, `fr`, `ar` or `ja`."
        },
    )

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read CHAT_* variables. Raises Misconfigured for one that is wrong."""
        secret = env.get("CHAT_SECRET_KEY", "")
        if secret and len(secret) < 16:
            raise Misconfigured(
                "CHAT_SECRET_KEY is too short: use at least 16 random characters, or leave it out."
            )
        return cls(
            database_url=env.get("CHAT_DATABASE_URL", cls().database_url),
            redis_url=_redis("CHAT_REDIS_URL", env.get("CHAT_REDIS_URL", "")),
            secret_key=secret,
            max_bytes=_size("CHAT_MAX_BYTES", env.get("CHAT_MAX_BYTES", "")),
            edit_hours=_hours("CHAT_EDIT_HOURS", env.get("CHAT_EDIT_HOURS", "24")),
            rate_limit=_switch("CHAT_RATE_LIMIT", env.get("CHAT_RATE_LIMIT", "on")),
            trusted_proxies=_networks("CHAT_TRUSTED_PROXIES", env.get("CHAT_TRUSTED_PROXIES", "")),
            hosts=_hosts("CHAT_HOSTS", env.get("CHAT_HOSTS", "")),
            timezone=_timezone("CHAT_TIMEZONE", env.get("CHAT_TIMEZONE", "")),
            language=_language("CHAT_LANGUAGE", env.get("CHAT_LANGUAGE", "en")),
        )


def _redis(name: str, text: str) -> str:
    urls = [part.strip() for part in text.split(",") if part.strip()]
    if not all(url.startswith(("redis://", "rediss://")) for url in urls):
        raise Misconfigured(f"{name}: use redis://HOST:6379/0, or rediss:// for TLS.")
    return ",".join(urls)


def _size(name: str, text: str) -> int:
    number = re.fullmatch(r"(\d{1,15})([KMGT]?)", text.strip().upper() or "0", re.ASCII)
    size = int(number[1]) * 1024 ** " KMGT".index(number[2] or " ") if number else -1
    if size < 0 or 0 < size < SMALLEST:
        raise Misconfigured(
            f"{name} is {text[:40]!r}: use a number of bytes such as 20G, at least 10M, or 0 for none."
        )
    return size


def _hours(name: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text.strip(), re.ASCII):
        raise Misconfigured(
            f"{name} is {text[:40]!r}: use a number of hours such as 24, or 0 for not at all."
        )
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() in {"on", "1", "true", "yes"}:
        return True
    if text.lower() in {"off", "0", "false", "no"}:
        return False
    raise Misconfigured(f"{name} is {text!r}: use on or off.")


def _networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return tuple(parse_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(
            f"{name}: {error}. Use addresses or networks such as 127.0.0.1, 10.0.0.0/8."
        ) from None


def _hosts(name: str, text: str) -> tuple[Host, ...]:
    try:
        return tuple(parse_allowed(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}. Use hosts such as chat.example.com, localhost:8000.") from None


def _timezone(name: str, text: str) -> str:
    try:
        return zone_named(text.strip()) if text.strip() else ""
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}. Use a name such as Europe/Berlin.") from None


def _language(name: str, text: str) -> str:
    language = text.strip().lower()
    if language not in LANGUAGES:
        raise Misconfigured(f"{name} is {text[:40]!r}: use one of {', '.join(LANGUAGES)}.")
    return language
