"""The files of others are exactly those that static/vendor/README.md names."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "static" / "vendor"
ROW = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)


def test_every_file_has_the_sha_256_that_the_readme_gives() -> None:
    named = dict(ROW.findall((VENDOR / "README.md").read_text("utf-8")))
    present = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name != "README.md"
    }
    assert present == named
