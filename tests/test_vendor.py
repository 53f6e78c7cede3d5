"""The files of others are exactly those that static/vendor/README.md names."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

from chat.views.assets import Assets

VENDOR = Path(__file__).parents[1] / "static" / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)


def test_what_is_sent_of_a_script_is_the_script_itself() -> None:
    for path in VENDOR.glob("*.js"):
        packed = path.with_name(f"{path.name}.gz").read_bytes()
        assert gzip.decompress(packed) == path.read_bytes()
        assert len(packed) < len(gzip.compress(path.read_bytes(), 9))
        asset = Assets(VENDOR).find(f"any/{path.name}")
        assert asset
        assert asset.compressed == packed


def test_every_file_has_the_sha_256_that_the_readme_gives() -> None:
    named = dict(ROW.findall((VENDOR / "README.md").read_text("utf-8")))
    present = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "README.md"
    }
    assert present == named
