"""What goes wrong in ways that a person is told of."""

from __future__ import annotations

from typing import Literal


class Refused(Exception):
    """Something a person asked for that the rules forbid; the text may be shown to them.

    `field` names the form control at fault ("name", "code", "body"), or is empty.
    """

    def __init__(self, text: str, field: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.field = field


Trouble = Literal["", "write", "store", "all"]
"""What a page says is out of order: nothing, a write that failed, the store, or all that the node shares."""
