"""Static files: read once, named by their content, cached by browsers for ever."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from chat.views.themes import themes

# Systems differ in these.
TYPES = {".js": "text/javascript", ".webmanifest": "application/manifest+json", ".wav": "audio/wav"}
SERVED = {".css", ".js", ".svg", ".png", ".txt", ".webmanifest", ".wav"}
WORTH_COMPRESSING = 500  # bytes; below, a header would cost more
# Of a stylesheet, a fifth of it when compressed. Neither is in a text that it shows, and texts are kept.
COMMENT = re.compile(rb"/\*.*?\*/\s*", re.DOTALL)
SPACE = re.compile(rb"""(?P<text>"[^"]*")|\s*(?P<mark>[{};>~])\s*|(?<=[\w-]:) +|(?<=,) +""")


@dataclass(frozen=True, slots=True)
class Asset:
    body: bytes
    compressed: bytes | None
    type: str
    url: str


class Assets:
    def __init__(self, folder: Path) -> None:
        self._assets: dict[str, Asset] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in SERVED:
                body, name = path.read_bytes(), path.relative_to(folder).as_posix()
                self.add(name, minified(body) if path.suffix == ".css" else body, packed(path))
        if sheet := self._assets.get("chat.css"):
            for name, body in themes(sheet.body).items():
                self.add(name, body)

    def add(self, name: str, body: bytes, compressed: bytes | None = None) -> None:
        """`compressed` is what there is already; it is checked, and made if there is none."""
        kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        small = compressed if compressed and gzip.decompress(compressed) == body else None
        is_sound = type.startswith("audio/")  # is asked for in parts
        if small is None and len(body) >= WORTH_COMPRESSING and not is_sound:
            small = gzip.compress(body, 9, mtime=0)
        self._assets[name] = Asset(body, small, type, f"/static/{version_of(body)}/{name}")

    def url(self, name: str) -> str:
        """The address of an asset's present content. Raises KeyError."""
        return self._assets[name].url

    def find(self, path: str) -> Asset | None:
        """The asset at a path below /static/, whatever version it names."""
        return self._assets.get(path.partition("/")[2])


def packed(path: Path) -> bytes | None:
    """A file beside it that was compressed at leisure, better than gzip does."""
    beside = path.with_name(f"{path.name}.gz")
    return beside.read_bytes() if beside.is_file() else None


def minified(sheet: bytes) -> bytes:
    kept = SPACE.sub(lambda found: found["text"] or found["mark"] or b"", COMMENT.sub(b"", sheet))
    return kept.replace(b";}", b"}")


def version_of(body: bytes) -> str:
    """Another one for other content: part of an address whose answer browsers keep for ever."""
    return hashlib.sha256(body).hexdigest()[:10]


def folder(name: str) -> Path:
    """`templates` or `static`: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
