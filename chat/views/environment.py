"""The templates, compiled once, and an environment for each language. Nothing else knows their engine."""

from __future__ import annotations

from pathlib import Path
from types import CodeType

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from chat.views.language import gettext, ngettext

__all__ = ["Compiled", "Environment", "environment"]


class Compiled(BytecodeCache):
    """Code of templates, which is the same in every language: texts are looked up when it runs."""

    def __init__(self) -> None:
        self._code: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code:
            self._code[bucket.key] = bucket.code


def environment(folder: Path, compiled: Compiled, language: str) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=compiled,
        extensions=["jinja2.ext.i18n"],
    )
    made.policies["ext.i18n.trimmed"] = True

    def one(text: str) -> str:
        return gettext(language, text)

    def counted(text: str, plural: str, n: int) -> str:
        return ngettext(language, text, plural, n)

    made.install_gettext_callables(one, counted, newstyle=True)  # type: ignore[attr-defined]
    return made
