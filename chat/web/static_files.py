"""Static files, answered before Quart: all that is said of one is known before anybody asks."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from werkzeug.http import parse_accept_header

from chat.addresses import Networks
from chat.views.assets import Asset, Assets
from chat.visitors import parse_client
from chat.web.headers import FOREVER, HEADERS, HSTS, USUAL_POLICY
from chat.web.ranges import part

PREFIX = "/static/"
Headers = list[tuple[bytes, bytes]]
SECURE = (b"strict-transport-security", HSTS.encode())


class _Answer(NamedTuple):
    tag: bytes
    headers: Headers
    unchanged: Headers
    body: bytes


class StaticFiles:
    def __init__(self, assets: Assets, proxies: Networks) -> None:
        self._assets, self._proxies = assets, proxies
        self._answers: dict[tuple[str, bool, bool], _Answer] = {}

    async def serve(self, scope: Any, send: Any) -> bool:
        """Answer a request for a file that there is; False for anything else, which has cost nothing."""
        asset = self._assets.find(scope["path"].removeprefix(PREFIX))
        if asset is None or scope["method"] not in {"GET", "HEAD"}:
            return False
        lines = _Lines(scope["headers"])
        packed = asset.compressed is not None and takes_gzip(",".join(lines.getlist("Accept-Encoding")))
        answer = self._answer(asset, packed, asset.url == scope["path"])
        same = answer.tag in _tags(lines.getlist("If-None-Match"))
        headers = answer.unchanged if same else answer.headers
        if (
            parse_client(lines, (scope["client"] or ("",))[0], scope["scheme"], "", self._proxies).scheme
            == "https"
        ):
            headers = [*headers, SECURE]
        status, body = (304, b"") if same else (200, answer.body)
        if asset.type.startswith("audio/") and not same:
            status, headers, body = part(headers, body, ",".join(lines.getlist("Range")))
        await _send(scope, send, status, headers, body)
        return True

    def _answer(self, asset: Asset, packed: bool, current: bool) -> _Answer:
        key = asset.url, packed, current
        if key not in self._answers:
            self._answers[key] = _prepared(asset, packed, current)
        return self._answers[key]


def _prepared(asset: Asset, packed: bool, current: bool) -> _Answer:
    body = asset.compressed if packed and asset.compressed is not None else asset.body
    version = asset.url.split("/")[2]
    tag = f'"{version}-gzip"' if packed else f'"{version}"'
    unchanged = {"Cache-Control": FOREVER if current else "no-cache", "ETag": tag} | HEADERS
    unchanged["Content-Security-Policy"] = USUAL_POLICY
    if asset.compressed is not None:
        unchanged["Vary"] = "Accept-Encoding"
    whole = {"Content-Type": asset.type, "Content-Length": str(len(body))} | unchanged
    if packed:
        whole["Content-Encoding"] = "gzip"
    return _Answer(tag.encode(), _encoded(whole), _encoded(unchanged), body)


def _encoded(headers: dict[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


@lru_cache(64)
def takes_gzip(accepted: str) -> bool:
    return parse_accept_header(accepted).quality("gzip") > 0


def _tags(lines: list[str]) -> set[bytes]:
    """The versions that a browser has. Whether they are weak makes no difference here (RFC 9110, 13.1.2)."""
    return {tag.strip().removeprefix("W/").encode("latin1") for line in lines for tag in line.split(",")}


class _Lines:
    """The header lines of a scope, by their names."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def getlist(self, name: str, /) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin1") for key, value in self._headers if key == wanted]


async def _send(scope: Any, send: Any, status: int, headers: Headers, body: bytes) -> None:
    answer = scope.get("chat.answer")
    if answer is None or not await answer(status, headers, body):
        await send({"type": "http.response.start", "status": status, "headers": headers})
        body = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": body, "more_body": False})
