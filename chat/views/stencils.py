"""Fragments that are made all the time: rendered once, and from then on only their values are put in.

The template stays the only source. A stencil is cut out of what it renders for values that occur nowhere
else, so it knows nothing of the template but which values it may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

Values = Mapping[str, object]  # what each stands for, in HTML already


class Stencil:
    """`html` is rendered with `values`, each unlike everything else in it."""

    def __init__(self, html: str, values: Values) -> None:
        names = {str(value): name for name, value in values.items()}
        if len(names) < len(values):
            raise ValueError("Two values are alike.")
        holes = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
        self._format = "%s".join(part.replace("%", "%%") for part in holes.split(html))
        found = [names[text] for text in holes.findall(html)]
        self._pick: Callable[[Values], Any] = itemgetter(*found) if found else lambda values: ()

    def fill(self, values: Values) -> str:
        text: str = self._format % self._pick(values)
        return text
