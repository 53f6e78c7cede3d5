"""Texts as HTML: nothing but what is allowed, in the reader's words, the same wherever they are made."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any
from unittest import mock

import pytest
from dom import Element, parse
from hypothesis import given
from hypothesis import strategies as st
from people import until
from test_formatting import HOSTILE, texts
from test_pages import XSS

from chat.model.formatting import plain_text
from chat.views import formatted as views
from chat.views.folding import LONG, SHOWN
from chat.views.formatted import ATTRIBUTES, CLASSES, TAGS, VALUES, formatted
from chat.views.formatter import MOST, SLOW, Formatter
from chat.views.highlighting import LANGUAGES, LINES, NAMES, highlighted
from chat.views.look import LOOK, Look


def html(body: str, look: Look = LOOK) -> Element:
    return parse(formatted(body)(look))


def test_every_style_is_an_element() -> None:
    page = html("**a** *b* ~~c~~ `d`")
    assert [(element.tag, element.text) for element in page.walk() if element.tag] == [
        ("strong", "a"), ("em", "b"), ("s", "c"), ("code", "d"),
    ]  # fmt: skip
    page = html("> a\n\n- b\n- c\n```\nd\n```")
    assert page.one("blockquote").text == "a"
    assert [item.text for item in page.all("ul li")] == ["b", "c"]
    assert page.one("pre[tabindex] code").text == "d"


def test_code_reads_left_to_right_and_names_its_language() -> None:
    page = html("`a` שלום\n```python\nx = 1 # one\n```")
    assert [code["dir"] for code in page.all("[dir]")] == ["ltr", "ltr"]
    assert page.one("pre")["data-language"] == "python"
    assert {piece["class"]: piece.text for piece in page.all("pre span")} == {"n": "1 ", "c": "# one"}


@pytest.mark.parametrize("language", ["", "nonsense", "java", "text", "py" * 9])
def test_code_in_a_language_that_is_not_known_has_no_colours(language: str) -> None:
    page = html(f"```{language}\nx = 1 # one\n```")
    assert page.one("pre").text == "x = 1 # one"
    assert not page.has("span")


@pytest.mark.parametrize("language", NAMES)
def test_colours_change_nothing_of_the_code(language: str) -> None:
    for code in (
        "",
        "x",
        "\n\n  x\t= 'é' /* \n# -- */ <a b=\"c\">\n\n",
        "'\\",
        "<?",
        "\u2028",
        "+a\n-b",
        "a\x0b",
    ):
        assert "".join(text for _, text in highlighted(code, language)) == code
    assert language in LANGUAGES


def test_long_code_has_no_colours_at_all_or_none_at_its_end() -> None:
    assert len(highlighted("x = 1\n" * (LINES - 1), "py")) > LINES
    assert highlighted("x = 1\n" * LINES, "py") == [("", "x = 1\n" * LINES)]
    many = ("1+" * 60 + "\n") * 60
    pieces = highlighted(many, "py")
    assert "".join(text for _, text in pieces) == many
    assert len(pieces[-1][1]) > 1000


def test_a_spoiler_is_a_box_that_can_be_ticked_and_is_hidden_without_any_style() -> None:
    page = html("it was ||the **butler**||", Look("de"))
    assert page.one("label.spoiler input[type=checkbox][autocomplete=off]")["aria-label"] == "Spoiler"
    assert page.one("label.spoiler span[hidden]").text == "the butler"
    assert html("||x||", Look("ja")).one("input")["aria-label"] == "ネタバレ"


@pytest.mark.parametrize(
    "body",
    [
        "\n".join(map(str, range(40))),
        "\n".join(f"- {n}" for n in range(40)),
        "\n".join(f"> {n}" for n in range(40)),
        "```\n" + "\n".join(map(str, range(40))) + "\n```",
        "- a\n" + "\n".join(f"  - {n}" for n in range(38)) + "\n- b",
        "**" + "\n".join(map(str, range(40))) + "**",
        "\n".join(f"- {n}\n  - x" for n in range(20)),
    ],
)
def test_a_text_of_more_than_25_lines_shows_the_first_of_them_and_unfolds(body: str) -> None:
    page = html(body)
    fold = page.one("details.fold")
    assert "open" not in fold
    assert fold.one("summary").text == f"{len(_words(body)) - SHOWN} more lines"
    assert "<ul></ul>" not in formatted(body).html
    head, _, rest = formatted(body).html.partition('<details class="fold"><summary>\x02</summary>')
    assert [*_words(head), *_words(rest)] == _words(body)
    assert len(_words(head)) == SHOWN


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub("<[^>]*>|```", " ", text))


def test_a_text_of_25_lines_is_not_folded() -> None:
    assert not html("\n".join("x" * LONG)).has("details")
    assert (
        html("\n".join("x" * (LONG + 1)), Look("fr")).one("summary").text
        == f"{LONG + 1 - SHOWN} lignes de plus"
    )


def test_addresses_are_links_inside_styles_and_not_in_code() -> None:
    page = html("**https://a.example/b_c** `https://b.example` ||www.c.example|| *d*")
    assert [link["href"] for link in page.all("a")] == ["https://a.example/b_c", "https://www.c.example"]


def test_an_address_that_goes_on_behind_a_style_is_none() -> None:
    assert not html("**https://google.com**@evil.example").has("a")


def test_a_text_has_50_links_in_all_of_its_parts() -> None:
    assert len(html(" ".join(f"*https://a.example/{n}*" for n in range(60))).all("a")) == 50


def _check(page: Element) -> None:
    """Everything is on the list that nh3 has, too."""
    for element in page.walk():
        if not element.tag:
            continue
        assert element.tag in TAGS
        for name, value in element.attributes.items():
            if name == "class":
                assert value in CLASSES[element.tag]
            elif name in VALUES.get(element.tag, {}):
                assert value in VALUES[element.tag][name]
            else:
                assert name in ATTRIBUTES[element.tag]
            assert name != "href" or re.match("https?://|mailto:", value, re.IGNORECASE)


HARD = st.sampled_from(
    [*XSS, "<", ">", "&", '"', "'", "\x01", "\x02", "javascript:", "data-language=", "-->", "```<b>\n"]
)


@given(st.lists(HARD | texts, max_size=6).map("".join))
def test_the_output_is_always_inside_the_allow_list(body: str) -> None:
    _check(html(body))


@given(st.text(st.sampled_from("ab w.W,é日/me👍ℹ©1\n*@:-<&'")) | texts)
def test_an_ordinary_text_is_what_the_parser_would_make_of_it(body: str) -> None:
    with mock.patch.object(views, "_ORDINARY", re.compile("(?!)")):
        parsed = formatted(body)
    assert formatted(body) == parsed


@given(texts)
def test_what_is_shown_is_the_plain_text(body: str) -> None:
    shown = html(body).text
    assert re.sub(r"[\s•]", "", shown) == re.sub(r"[\s•]", "", plain_text(body))


@pytest.mark.parametrize(
    "mark", ["**{}**", "*{}*", "||{}||", "`{}`", "> {}", "- {}", "```\n{}\n```", "```{}\nx\n```", "/me {}"]
)
@pytest.mark.parametrize("body", XSS)
def test_no_text_is_markup_whatever_marks_it_has(body: str, mark: str) -> None:
    page = html(mark.format(body))
    _check(page)
    assert re.sub(r"\s", "", body) in re.sub(
        r"\s", "", page.text + "".join(pre.attributes.get("data-language", "") for pre in page.all("pre"))
    )


def test_without_the_second_fence_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fence has nothing to do: were it to change a text, something before it would be wrong."""

    class NoFence:
        def clean(self, html: str) -> str:
            return html

    bodies = [
        "**a** <b> & \" ' > `<i>` ||x||",
        "> a\n- b\n```py\nx = '<'\n```",
        "https://a.example/?a=1&b *c*",
        "x\n" * 40,
    ]
    fenced = [formatted(body) for body in bodies]
    monkeypatch.setattr(views, "_cleaner", NoFence())
    for body, one in zip(bodies, fenced, strict=True):
        assert _seen(parse(one(LOOK))) == _seen(parse(formatted(body)(LOOK)))


def _seen(page: Element) -> list[tuple[str, dict[str, str], str]]:
    return [(element.tag, dict(element.attributes), element.text) for element in page.walk()]


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_the_html_of_a_text_is_bounded(piece: str) -> None:
    for body in ((piece * 8192)[:8192], "```py\n" + (piece * 8192)[:8180]):
        assert len(formatted(body).html) < 200_000


async def test_what_takes_long_is_made_in_a_thread_before_it_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formatter, made = Formatter(), []

    def counted(body: str) -> Any:
        made.append(body)
        return formatted(body)

    monkeypatch.setattr("chat.views.formatter.formatted", counted)
    short, long, code, plain = "**a**", "**a** " * SLOW, "```\nx\n```", "a" * 5 * SLOW
    await formatter.warm([short, long, code, plain, None])
    assert made == [long, code]
    for body in (short, long, code, plain):
        assert formatter.format(body) == formatted(body)
    assert made == [long, code, short, plain]


async def test_all_who_wait_for_a_text_have_it_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    formatter, made, may_end = Formatter(), [], threading.Event()

    def slow(body: str) -> Any:
        made.append(body)
        assert may_end.wait(10)
        return formatted(body)

    monkeypatch.setattr("chat.views.formatter.formatted", slow)
    waiting = [asyncio.create_task(formatter.warm(["```\nx\n```"])) for _ in range(50)]
    await until(lambda: bool(made))
    waiting[0].cancel()  # the others still wait
    may_end.set()
    await asyncio.gather(*waiting[1:])
    assert made == ["```\nx\n```"]
    assert not formatter._making


async def test_nothing_is_kept_of_what_was_made_before_a_text_was_deleted() -> None:
    formatter = Formatter()
    code = "```\nsecret\n```"
    await formatter.warm([code])
    assert formatter._ready
    formatter.forget()
    assert not formatter._ready
    warming = asyncio.create_task(formatter.warm([code]))
    await asyncio.sleep(0)
    formatter.forget()
    await warming
    assert not formatter._ready


async def test_few_texts_are_kept_and_for_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    formatter = Formatter()
    await formatter.warm(f"```\n{n}\n```" for n in range(2 * MOST))
    assert len(formatter._ready) == MOST
    monkeypatch.setattr("chat.views.formatter.KEPT", 0)
    await formatter.warm(["```\nx\n```"])
    await until(lambda: "```\nx\n```" not in formatter._ready)
