"""What the marks in a text mean, and that what people type without meaning marks stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.model import formatting
from chat.model.emoji import emoji_named
from chat.model.formatting import MARKS, is_action, parse, plain_text
from chat.model.inline import Token

SHORT = {"strong": "b", "em": "i", "quote": "q", "list": "ul", "item": "li"}


def shown(body: str) -> str:
    """The tokens of a text, as short HTML."""
    parts = []
    for type, text, language in parse(body):
        name = SHORT.get(text, text)
        parts.append(
            {
                "open": f"<{name}>",
                "close": f"</{name}>",
                "text": text,
                "code": f"<code>{text}</code>",
                "fence": f"<pre {language}>{text}</pre>".replace(" >", ">"),
            }[type]
        )
    return "".join(parts)


MARKED = {
    "**bold** *italic* ~~gone~~ `code` ||hidden||": (
        "<b>bold</b> <i>italic</i> <s>gone</s> <code>code</code> <spoiler>hidden</spoiler>"
    ),
    "***both*** ***a** b* ***a* b** **a *b*** *a **b***": (
        "<i><b>both</b></i> <i><b>a</b> b</i> <b><i>a</i> b</b> <b>a <i>b</i></b> <i>a <b>b</b></i>"
    ),
    "**Note:** yes": "<b>Note:</b> yes",
    "**bold**ly and *x*'s": "<b>bold</b>ly and <i>x</i>'s",
    '*what?* (*yes*) "*no*", *ok*.': '<i>what?</i> (<i>yes</i>) "<i>no</i>", <i>ok</i>.',
    "これは**「強調」**です": "これは<b>「強調」</b>です",
    "これは*強調*です": "これは<i>強調</i>です",
    "**강조**입니다": "<b>강조</b>입니다",
    "*हिन्दी* **العربية**": "<i>हिन्दी</i> <b>العربية</b>",
    "||~~**x**~~||": "<spoiler><s><b>x</b></s></spoiler>",
    "||a `b` c||": "<spoiler>a <code>b</code> c</spoiler>",
    "||https://a.example/x||です": "<spoiler>https://a.example/x</spoiler>です",
    "**two\nlines**": "<b>two\nlines</b>",
    "`a*b*c` *d*": "<code>a*b*c</code> <i>d</i>",
    "`` a`b `` ```x```": "<code>a`b</code> <code>x</code>",
    r"\*as typed\* \`x\` \~~y\~~ \||z\||": "*as typed* `x` ~~y~~ ||z||",
    "> quoted\n> more\nreply": "<q>quoted\nmore</q>reply",
    ">quoted": "<q>quoted</q>",
    "> a\n>> b\n> c": "<q>a<q>b</q>c</q>",
    "> - a\n> - b": "<q><ul><li>a</li><li>b</li></ul></q>",
    "to buy:\n- milk\n- eggs\nthanks": "to buy:<ul><li>milk</li><li>eggs</li></ul>thanks",
    "* a\n* b\n  * c\n* d": "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>",
    "- a\n  more\n- **b**": "<ul><li>a\nmore</li><li><b>b</b></li></ul>",
    "- a\n  ```\n  x\n\n  y\n  ```\n- b": "<ul><li>a<pre>x\n\ny</pre></li><li>b</li></ul>",
    "```python\nx = 1\n```\nafter": "<pre python>x = 1</pre>after",
    "```c++\nx\n```": "<pre c++>x</pre>",
    "```\n**x** :tada:\n\n    y\n```": "<pre>**x** :tada:\n\n    y</pre>",
    "```\nnot closed": "<pre>not closed</pre>",
    "```\nclosed on the line```\nafter": "<pre>closed on the line</pre>after",
    "``` no language\nx\n```": "<pre>no language\nx</pre>",
    "````\n```\n````": "<pre>```</pre>",
    "> ```\n> x\n> ```": "<q><pre>x</pre></q>",
    ":tada: :100: :clock1030:! (:+1:) :tada::heart:": "🎉 💯 🕥! (👍) 🎉❤️",
    "**:thumbs_up:** :Red_Heart:": "<b>👍</b> ❤️",
    "(:+1:)": "(👍)",
    "|:tada:|": "|🎉|",
    "/me waves *wildly*": "waves <i>wildly</i>",
}


@pytest.mark.parametrize("body", MARKED, ids=repr)
def test_marks_mean_what_a_person_expects(body: str) -> None:
    assert shown(body) == MARKED[body]


UNMARKED = [
    "5*3*2", "2 * 3 * 4", "2**3**4", "a*b*c", "x = *p * *q;", "int *a, *b", "char **argv, **envp",
    "f(*args, **kwargs) and g(*a, **b)", "f(*a,*b) f(**a,**b)", "/* comment */ /*comment*/",
    "*.txt and foo.*", "**/*.py and **/*.js", "src/*/foo/*", ".*foo.* (.*)|(.*)", "rm *",
    "SELECT * FROM a WHERE b*c",
    "__init__", "_it_", "snake_case_name", "__bold__", "test_*.py and conf_*.py",
    "^_^ *_*", r"¯\_(ツ)_/¯", "(*^_^*) (*´▽｀*)", ">_<", ">:(", ">.<", ">w<", ">50 %", ">>> print(1)",
    "-> =>", "a > b",
    r"\\server\share", r"C:\a_b_c", r"C:\Users\_foo_\ ".strip(), r"C:\*.txt D:\temp\*.tmp", r"\d+\.\d*",
    "10:30:45", "00:00:00", "9:00", "a:b:c", "std::vector::at", "x:tada:y", ":nope:", ":)", "10:100:5",
    "::1",
    "a.py", "README.md", "#hash", "# 1", "## two", "text\n---", "text\n===", "---", "***", "* * *",
    "- - -", "-", "- ",
    "5.", "5. yes", "1. one\n2. two", "1) one", "+1", "+ 1", "-5", "--flag", "    indented", "\tindented",
    "[a](https://a.example)", "![a](b)", "[a]: b", "<b>x</b>", "&amp;", "| a | b |\n|---|---|",
    "a || b || c", "a||b||c", "if (a) || (b)", "||", "||||", "|| ||", "~", "~5", "hello~~ bye~~",
    "好的~~明白了~~", "~~~~x~~~~",
    "**", "****", "** a **", "**a", "a**", "*a\n\nb*", "**a\n\nb**", "`a\n\nb`", "`", "``", "```",
    "```\n```",
    "/me", "/me ", "/me's dog", "/ME waves", " /me waves", "/me waves\nand goes", "/etc/passwd",
    "see https://a.example/*x*/y_z_ and https://a.example/**b**", "mailto:a*b*c@d.example",
]  # fmt: skip


@pytest.mark.parametrize("body", UNMARKED, ids=repr)
def test_what_was_not_meant_as_a_mark_stays_as_it_was_typed(body: str) -> None:
    assert shown(body) == body


WORDS = [
    "a",
    "b ",
    "中",
    "é",
    " ",
    "\n",
    "\n\n",
    "  ",
    "x_y",
    "https://a.example/b",
    "www.a.example",
    "C:\\x",
    ":tada:",
]
PIECES = [
    *"*~|`>-\\:_",
    "**",
    "~~",
    "||",
    "***",
    "```",
    "```py\n",
    "> ",
    "- ",
    "\n- ",
    "\n> ",
    "/me ",
    *WORDS,
]
texts = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs", "Cc"]), max_size=40).map(
    "".join
)


def _letters(text: str) -> str:
    return re.sub(r"[\s*~|`>•\\-]", "", text)


@given(texts)
def test_a_text_keeps_every_letter_and_loses_nothing_but_marks(body: str) -> None:
    named = re.sub(r":([\w+-]+):", lambda found: emoji_named(found[1]) or found[0], body)
    kept = {_letters(body.removeprefix("/me")), _letters(named.removeprefix("/me"))}
    if len({_letters(body), _letters(named)}) == 1:  # no name of an emoji, which may stand in code
        text = "".join(
            token.language + token.text for token in parse(body) if token.type not in ("open", "close")
        )
        assert _letters(text) in kept | {_letters(body)}


@given(texts)
def test_what_begins_ends_and_nothing_crosses(body: str) -> None:
    inside: list[str] = []
    for token in parse(body):
        if token.type == "open":
            inside.append(token.text)
        elif token.type == "close":
            assert inside.pop() == token.text
    assert not inside


@given(texts)
def test_texts_without_a_mark_need_no_parser(body: str) -> None:
    if not formatting.is_marked(body) and not is_action(body):
        assert list(formatting._blocks(body.split("\n"), 0)) == ([Token("text", body)] if body else [])


HOSTILE = {
    "stars": "*", "stars and letters": "*a ", "pairs": "*a* ", "double pairs": "**a** ",
    "unclosed": "||a ", "backticks": "`",
    "backticks of many lengths": "".join("`" * n + " " for n in range(1, 120)), "brackets": "[",
    "addresses": "http://a ",
    "addresses and stars": "http://a*", "quotes": "> ", "quoted lines": "> a\n", "deep quotes": ">",
    "bullets": "- ",
    "items": "- a\n", "deep items": "".join(" " * n + "- a\n" for n in range(120)), "fences": "```\n",
    "open fences": "```\na`\n",
    "emoji": ":tada: ", "colons": ":a:", "escapes": r"\*", "backslashes": "\\", "drives": "c:\\",
    "blank lines": "- a\n\n\n",
    "blank ends": "*\n \n", "spaces": " ", "spaces in quotes": "> " + " " * 90 + "a\n",
    "bullet of stars": "- *-", "www": "www.*",
    "unspaced": "*あ", "emoji in emphasis": "*👍* ", "marks of letters": "*e\u0301* ",
    "mixed": "*a ~~b ||c `d ", "blank quotes": ">\n", "blank quotes in quotes": "> >\n",
}  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_parsing_takes_work_in_the_length_of_the_text(piece: str) -> None:
    """Lines of Python run, not seconds: twice the text is about twice the work."""
    half, whole = ((piece * 8192)[:length] for length in (4096, 8192))
    assert _work(parse, whole) < 2.5 * _work(parse, half) + 500
    assert _work(parse, whole) < 40 * 8192


def _work(function: Callable[[str], Any], body: str) -> int:
    """How many lines of our code a call runs."""
    import sys

    count = 0

    def trace(frame: Any, event: str, arg: object) -> Any:
        nonlocal count
        if "/chat/" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(body)
    finally:
        sys.settrace(before)
    return count


def test_a_text_with_too_many_marks_is_shown_as_it_was_typed() -> None:
    few, many = "*a* " * (MARKS // 2), "*a* " * (MARKS // 2) + "`a`"
    assert len(parse(few)) > MARKS
    assert parse(many) == [Token("text", many)]


PLAIN = {
    "**bold** *it* `code` ||hidden||": "bold it code hidden",
    "> quoted\nreply": "quoted\nreply",
    "to buy:\n- milk\n- **eggs**\nthanks": "to buy:\n• milk\n• eggs\nthanks",
    "look:\n```python\nx = 1\n```\nafter": "look:\nx = 1\nafter",
    "/me waves": "waves",
    ":tada:": "🎉",
    "5*3*2": "5*3*2",
}


@pytest.mark.parametrize("body", PLAIN, ids=repr)
def test_the_plain_text_is_that_of_the_same_tokens(body: str) -> None:
    assert plain_text(body) == PLAIN[body]


def test_a_spoiler_can_be_kept_out_of_the_plain_text() -> None:
    assert plain_text("it was ||the `butler` in **red**||!", hidden="▒▒▒") == "it was ▒▒▒!"
