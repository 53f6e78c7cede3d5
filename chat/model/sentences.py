"""What a person reads, said before it is known in which language they read."""

from __future__ import annotations

from collections.abc import Mapping


class Sentence(str):
    """A sentence with values, in English.

    `key` is how catalogues know it (gettext's msgid): the English words with %(name)s for each value. If it
    depends on a number, that is the value `n`, and `plural` is the key for any number but one. A sentence
    without values may be a plain str: it is its own key. `after` are those that follow it.
    """

    key: str
    plural: str
    values: Mapping[str, str | int]
    after: tuple[str, ...]

    def __new__(
        cls, key: str, plural: str = "", after: tuple[str, ...] = (), **values: str | int
    ) -> Sentence:
        words = plural if plural and values["n"] != 1 else key
        self = super().__new__(cls, " ".join([words % shown(values) if values else words, *after]))
        self.key, self.plural, self.values, self.after = key, plural, values, after
        return self


def shown(values: Mapping[str, str | int]) -> dict[str, str]:
    return {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
