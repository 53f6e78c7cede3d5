"""Which parts of a text are links, where they end, and that none leads elsewhere than it says."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import pytest
from dom import parse
from hypothesis import given
from hypothesis import strategies as st

from chat.model.invisible import INVISIBLE
from chat.views import links
from chat.views.links import CANDIDATES, LINKS, URL_LENGTH, find_links, linked


def _linked(text: str) -> list[str]:
    return [text[link.start : link.end] for link in find_links(text)]


# An address ends at »; only the text from « to » is a link.
ENDS = [
    "«https://example.com/foo»。次の文",
    "«https://example.com»。次の文",
    "（«https://example.com/baz»）",
    "「«https://example.com/baz»」と",
    "“«https://example.com/a»”",
    "„«https://example.com/a»“",
    "‘«https://example.com/a»’",
    "‹«https://example.com/a»›",
    "«https://example.com/a»’s",
    "«https://example.com/a»؟",
    "«https://example.com/a»، ثم",
    "«https://example.com/a»۔",
    "«https://example.com/a»।",
    "«https://example.com/a»、«https://example.com/b»",
    "«https://example.com/a»—and then",
    "«https://example.com/a»…",
    "\u2066«https://example.com/a»\u2069",
    "«https://example.com/a»\u202eb",
    "«https://example.com/a»\u200bb",
    "«https://example.com/a»\u00adb",
    "«https://example.com/a»: this",
    "«https://example.com/a», «https://example.com/b»; «https://example.com/c».",
    "is it «https://example.com/a»?!",
    "«https://example.com/a»...",
    "see («https://example.com/a»), please",
    "((«https://example.com/a»))",
    "[see](«https://example.com/a»)",
    "(see «https://en.wikipedia.org/wiki/Foo_(bar)»)",
    "«https://example.com/a_(b_(c))/d»",
    "«https://example.com/a_[b(c)]» [x]",
    "«https://example.com/»(unclosed",
    "«https://en.wikipedia.org/wiki/Schindler's_List»",
    "'«https://example.com/a»'",
    "«https://fonts.googleapis.com/css?family=A|B»",
    "|| «https://example.com/a»||",
    "«https://en.wikipedia.org/wiki/The_Lord_of_the_Rings_»",
    "_«https://example.com/a_b»_",
    "**«https://example.com»**.",
    "«https://example.com/{id}/[x]»",
    "«https://example.com/a,b;c!d?e=f.g#h:i@j»",
    "«https://web.archive.org/web/2020/https://example.com/»",
    "«https://example.com/a--b-»",
    "«https://fa.wikipedia.org/wiki/می\u200cخواهم»",
    "«https://ru.wikipedia.org/wiki/Москва», город",
    "«https://ja.wikipedia.org/wiki/ジョン・レノン»。",
    "見て«https://example.com/»",
    "«https://example.com»を見て",
    "«https://example.com»에서",
    "«http://localhost:8000/a»:",
    "«http://[::1]:8000/x»",
    "«http://127.0.0.1:8000/x»",
    '«https://example.com/a»"b"',
    "`«https://example.com/a»`",
    "«https://example.com»\\@evil.example/",
    "see «www.example.com»!",
    "«WWW.Example.com/a_(b)»",
    "«mailto:ann.b+c@example.com», thanks",
    "«mailto:ann@example.com»?bcc=everybody@example.com",
]  # fmt: skip


@pytest.mark.parametrize("marked", ENDS)
def test_a_link_ends_where_a_person_would_end_it(marked: str) -> None:
    assert _linked(re.sub("[«»]", "", marked)) == re.findall("«(.*?)»", marked)


@pytest.mark.parametrize(
    "text",
    [
        "README.md a.py example.com 10.0.0.1 e.zip",  # names of files are domains, too
        "ann@example.com git@github.com:a/b @ann@social.example",
        "www. www.a www.com foo@www.example.com //www.example.com ...www.",
        "mailto: mailto:ann mailto:@example.com",
        "http:// https://. http:/a http:///a http://-a http://[x] http://[::1 http://a:99999",
        "ftp://a javascript:alert(1) data:text/html,x file:///etc xhttp://a.example",
        "httpſ://example.com",
    ],
)
def test_nothing_else_is_a_link(text: str) -> None:
    assert _linked(text) == []


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("www.example.com/a", "https://www.example.com/a"),
        ("WWW.example.com", "https://WWW.example.com"),
        ("mailto:ann@example.com", "mailto:ann@example.com"),
        ("http://example.com", "http://example.com"),
        ("https://münchen.example/straße", "https://münchen.example/straße"),
    ],
)
def test_a_link_leads_to_what_was_typed_by_https_if_nothing_was_said(text: str, href: str) -> None:
    (link,) = find_links(text)
    assert (link.href, link.host) == (href, "")


# Links that lie --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "https://google.com@evil.example/",
        "https://google.com:443@evil.example/",
        "https://google.com%2f@evil.example/",
        "https://google.com%2f.evil.example/",
        f"https://{'a' * 60}.google.com@evil.example/",
        "mailto:ann@example.com@evil.example",
        "https://evil.c℀.example/",  # is c.a/c to a browser
        "https://google.com⁄evil.example/",
        "https://google·com.evil.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://[::1]evil.example/",
        "http://[::1]@evil.example/",
        "http://\u0338evil.example/",  # struck through by a mark without a letter
    ],
)
def test_an_address_that_leads_elsewhere_than_it_says_is_text(text: str) -> None:
    assert _linked(text) == []


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://аpple.com/a", "xn--pple-43d.com"),  # Cyrillic а
        ("https://аррӏе.com/a", "xn--80ak6aa92e.com"),  # all Cyrillic
        ("https://googıe.com/a", "xn--googe-q4a.com"),
        ("https://ɢoogle.com/a", "xn--oogle-wmc.com"),
        ("https://ｇoogle.com/a", "google.com"),
        ("https://google.comノevil.example/a", "google.xn--comevil-v04f.example"),
        ("https://www.раypal.com/a", "www.xn--ypal-43d9g.com"),
        ("www.аpple.com/a", "www.xn--pple-43d.com"),
    ],
)
def test_a_host_that_looks_like_another_is_shown_as_the_address_bar_shows_it(text: str, host: str) -> None:
    link = parse(linked(text)).one("a")
    assert link.text == text, "what was typed stays"
    assert (link["data-host"], link["href"]) == (host, f"https://{host}/a")


@pytest.mark.parametrize(
    "host",
    [
        "münchen.example",
        "straße.example",
        "xn--mnchen-3ya.example",
        "пример.example",
        "例え.jp",
        "東京タワーA.jp",
        "한국.kr",
        "☃.net",
        "مثال.إختبار",
        "उदाहरण.भारत",
    ],
)
def test_an_honest_host_of_any_script_is_a_plain_link(host: str) -> None:
    link = parse(linked(f"https://{host}/a")).one("a")
    assert link["href"] == link.text == f"https://{host}/a"
    assert "data-host" not in link


def test_every_link_is_isolated_from_the_direction_of_the_text_around_it() -> None:
    link = parse(linked("\u202ehttps://evil.example/moc.elgoog.www//:sptth")).one("a")
    assert link["dir"] == "ltr"
    assert link["href"] == link.text == "https://evil.example/moc.elgoog.www//:sptth"


def test_labels_of_a_right_to_left_host_do_not_change_places_with_the_path() -> None:
    link = parse(linked("https://אבג.example.דהו/זחט")).one("a")
    assert [label.text for label in link.all("bdi")] == ["אבג", "example", "דהו"]
    assert link.text == link["href"] == "https://אבג.example.דהו/זחט"


SIGNS = ":@/?#%\\&<\"'()[]{}.,_*|- \n\u202e\u2067\u200b\u200d\ufe0f\u0301。’）・ßaаאノ漢😀℀⁄．ſK"
HOSTS = ["a", "example.com", "a.b", "[::1]", "127.0.0.1", "0x1", ":80", "a@b"]
WORDS = st.sampled_from([*SIGNS, *HOSTS, "http://", "https://", "HTTPS://", "www.", "mailto:"])


@given(st.lists(WORDS | st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40).map("".join))
def test_a_linked_text_reads_as_it_was_written_and_each_link_says_where_it_leads(text: str) -> None:
    shown = parse(linked(text))
    assert shown.text == text
    assert {element.tag for element in shown.walk()} <= {"a", "bdi"}
    for link in shown.all("a"):
        address, href = link.text, link["href"]
        assert set(link.attributes) <= {"href", "data-host", "dir", "rel", "target"}
        assert not re.search(rf"\s|(?![\u200c\u200d\ufe0f]){INVISIBLE.pattern}", address)
        assert len(address) <= URL_LENGTH
        if href.startswith("mailto:"):
            assert href.count("@") == 1
            continue
        typed, leads = (
            urlsplit(url) for url in (address if "://" in address else f"https://{address}", href)
        )
        assert leads.scheme.lower() in {"http", "https"}
        assert leads.username is None
        assert leads.hostname == (link.attributes.get("data-host") or typed.hostname)
        assert not INVISIBLE.search(leads.hostname or "")
        if "data-host" not in link:
            assert typed == leads


# What an address may cost -----------------------------------------------------------------------------


def test_a_text_has_50_links_and_the_other_addresses_stay_text() -> None:
    text = " ".join(f"https://example.com/{n}" for n in range(LINKS + 9))
    shown = parse(linked(text))
    assert shown.text == text
    assert [link["href"] for link in shown.all("a")] == text.split()[:LINKS]


def test_an_address_of_2048_characters_is_a_link_and_a_longer_one_is_text() -> None:
    longest = "https://example.com/".ljust(URL_LENGTH, "x")
    assert _linked(f"{longest} www.example.com") == [longest, "www.example.com"]
    assert _linked(f"{longest}x www.example.com") == ["www.example.com"]
    assert _linked(f"{longest}.x?u=https://example.com www.example.com") == ["www.example.com"]


HOSTILE = {
    "closing brackets": "http://a" + ")" * 8180,
    "opening brackets": "http://a/" + "(" * 8180,
    "nested brackets": "http://a/" + "([" * 2040 + "])" * 2040,
    "addresses": "http://a " * 910,
    "unclosed": "http://a/( " * 740,
    "unclosed, unspaced": "http://a/(" * 819,
    "unclosed square brackets": "http://a/[" * 819,
    "quotes": "http://a/'" * 819,
    "dots": "http://a" + ".a" * 4090,
    "labels": "http://" + "a-" * 4090,
    "refused hosts": "http://0x0 " * 740,
    "long refused hosts": ("http://" + "ab." * 80 + "0x ") * 33,
    "passwords": ("http://" + "a" * 49 + ":") * 143,
    "look-alikes": ("http://" + "а" * 45 + "." + "а" * 45 + " ") * 44,
    "right to left": ("http://" + "א." * 15 + "a/א ") * 170,
    "www": "www." * 2048,
    "schemes": "http://" * 1170,
    "colons and slashes": "://" * 2730,
    "at signs": "a@" * 4096,
    "mailto": "mailto:" * 1170,
    "mailto and a letter": "mailto:a" * 1024,
    "emphasis": "_http://a_ " * 740,
    "words": "hello " * 1360,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_linking_takes_time_in_the_length_of_the_text(text: str) -> None:
    """50 ms and more for one text of 8 KiB, and four times that for one twice as long, was the fault."""

    def cost(text: str) -> float:
        begun = time.process_time()
        find_links(text)
        return time.process_time() - begun

    find_links("http://а.example mailto:a@b.example")  # what is built at the first use
    assert min(cost(text) for _ in range(5)) < 0.025
    many = text * 16  # quadratic time would be 256 times as much
    assert min(cost(many) for _ in range(3)) < 40 * max(min(cost(text) for _ in range(5)), 0.0005)


def test_at_most_200_places_are_tried_in_one_text(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def no_address(piece: str, prefix: str, before: str) -> int:
        tried.append(piece)
        return 0

    monkeypatch.setattr(links, "_length", no_address)
    assert _linked("http://a " * 900) == []
    assert len(tried) == CANDIDATES
