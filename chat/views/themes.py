"""The light and the dark theme for those who chose one, cut out of the stylesheet that has both."""

from __future__ import annotations

import re

LIGHT = re.compile(rb":root\{([^}]*)\}")
DARK = re.compile(rb"@media screen and \(prefers-color-scheme:dark\)\{:root\{([^}]*)\}")


def themes(sheet: bytes) -> dict[str, bytes]:
    """Stylesheets by name, each to follow this one, which is without comments and spaces."""
    found = {"light": LIGHT.search(sheet), "dark": DARK.search(sheet)}
    return {
        f"{name}.css": b"@media screen{:root{%b;color-scheme:%b}}" % (match[1], name.encode())
        for name, match in found.items()
        if match
    }
