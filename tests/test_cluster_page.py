"""The operator's page says what is so: its settings, figures and sentences exist, and its nginx serves."""

from __future__ import annotations

import ast
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from email.message import Message
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from deployments import several
from nginx import ADDRESS, PAGE, Nginx
from postgres import running
from serving import REPO

from chat.metrics import Metrics
from chat.settings import Settings

README = (REPO / "README.md").read_text("utf-8")
SETTINGS = {f"CHAT_{field.name.upper()}" for field in fields(Settings)}
OF_ONE_PROCESS = {
    "chat_deliveries_total", "chat_frames_total", "chat_refusals_total", "chat_rooms_live", "chat_streams",
}  # fmt: skip
REFUSING = [  # where a node with neighbours is refused
    "app.py", "nodes.py", "settings.py", "visitors.py", "store/__init__.py", "store/postgres_server.py",
]  # fmt: skip
OF_SQLITE = ("{} cannot be written", "{} cannot be read", "{} holds no key")


# Names ------------------------------------------------------------------------------------------------


def test_it_names_every_setting_and_no_other() -> None:
    assert set(re.findall(r"\bCHAT_[A-Z_]+", PAGE)) == SETTINGS


def test_its_file_of_settings_has_them_all() -> None:
    (block,) = (text for text in blocks(PAGE, "") if "CHAT_SECRET_KEY=" in text)
    assert set(re.findall(r"^(CHAT_\w+)=", block, re.MULTILINE)) == SETTINGS


def test_it_names_every_figure_of_a_cluster_and_none_that_is_not() -> None:
    text = Metrics().text().decode()
    measured = set(re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", text, re.MULTILINE))
    measured = {name for name in measured if not name.endswith("_created")}
    named = set(re.findall(r"(?<=`)chat_[a-z_]+(?=[`{])", PAGE)) - {"chat_restored", "chat_before"}
    assert named <= measured
    assert measured - OF_ONE_PROCESS <= named


def blocks(document: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


# Sentences --------------------------------------------------------------------------------------------


class Sentences(ast.NodeVisitor):
    """Every text of a module, with {} for what is filled in."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self.texts.append(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.texts.append(shape(node))


def shape(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join("{}" if isinstance(part, ast.FormattedValue) else shape(part) for part in parts)
    return "{}"


@pytest.fixture(scope="module")
def said() -> str:
    """All that the code may say."""
    sentences = Sentences()
    for path in (REPO / "chat").rglob("*.py"):
        sentences.visit(ast.parse(path.read_text("utf-8")))
    return "\n".join(sentences.texts)


def quoted(heading: str) -> list[str]:
    """What stands in backticks in the first column of the tables below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [text for row in re.findall(r"^\| (.*?) \|", section, re.MULTILINE) for text in _ticked(row)]


def _ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("sentence", quoted("When a node refuses to start"))
def test_a_refusal_that_it_quotes_is_one(sentence: str, said: str) -> None:
    for part in _parts(sentence):
        assert part in said or re.sub(r"^CHAT_[A-Z_]+", "{}", part) in said, part


@pytest.mark.parametrize("line", [line for line in quoted("What to watch") if not line.startswith("chat_")])
def test_a_line_of_the_log_that_it_explains_is_one(line: str, said: str) -> None:
    said = re.sub(r"%[sd]", "{}", said)
    for word in re.split(r"…|=| ", line):
        assert word.strip("():,.") in said, word


def _parts(sentence: str) -> list[str]:
    """The fixed parts, without the ends that whoever says them adds."""
    parts = (part.strip(" .:") for piece in sentence.split("…") for part in piece.split(". "))
    return [part for part in parts if len(part) > 3]


def _refusals() -> Iterator[str]:
    for name in REFUSING:
        for node in ast.walk(ast.parse((REPO / "chat" / name).read_text("utf-8"))):
            yield from (said for part in _saying(node) if (said := shape(part)).strip("{}"))


def _saying(node: ast.AST) -> list[ast.expr]:
    """What a refusal is made of."""
    match node:
        case ast.Call() if _name(node.func) in {"Misconfigured", "Occupied", "refused"}:
            return node.args
        case ast.FunctionDef(name="_mend" | "_to_mend"):
            return [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
    return []


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@pytest.mark.parametrize("refusal", sorted(set(_refusals())))
def test_every_refusal_of_a_node_is_explained(refusal: str) -> None:
    if any(part in refusal for part in OF_SQLITE):
        return
    parts = _parts(refusal.replace("{}", "…"))
    telling = min(16, max(map(len, parts)))  # characters
    assert any(part in PAGE for part in parts if len(part) >= telling), refusal


# nginx ------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str


def ask(nginx: Nginx, path: str, form: str = "") -> Answer:
    """What a browser gets that looks at a page or, with a form, posts it."""
    trusting = ssl.create_default_context(cafile=nginx.folder / "fullchain.pem")
    plain = socket.create_connection(("127.0.0.1", nginx.port), 15)
    with closing(HTTPSConnection(ADDRESS)) as connection:
        connection.sock = trusting.wrap_socket(plain, server_hostname=ADDRESS)
        sent = {"Origin": f"https://{ADDRESS}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST" if form else "GET", path, form or None, sent if form else {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())


@pytest.mark.parametrize("document", [PAGE, README], ids=["cluster.md", "README.md"])
def test_nginx_takes_what_a_document_says(document: str, tmp_path: Path) -> None:
    assert Nginx(tmp_path, [1, 2], document, encrypted=True).refusal() == ""


def test_its_nginx_passes_over_a_node_that_is_gone_and_says_so_when_all_are(tmp_path: Path) -> None:
    with several(tmp_path, 2, CHAT_TRUSTED_PROXIES="127.0.0.1") as nodes:
        nginx = Nginx(tmp_path, [node.port for node in nodes], encrypted=True)
        with nginx:
            created = ask(nginx, "/", form="name=Ann&code=&create=1")
            assert created.status == 303
            assert "Secure" in created.headers["Set-Cookie"]
            assert ask(nginx, "/metrics").status == 404
            nodes[0].kill()
            assert [ask(nginx, "/healthz").status for _ in range(4)] == [200] * 4
            nodes[1].kill()
            later = ask(nginx, "/")
            assert (later.status, later.text) == (502, "The chat is restarting.\n")
            assert later.headers["Content-Type"] == "text/plain"
            assert later.headers["Refresh"] == "2"


class Unwell(BaseHTTPRequestHandler):
    """A node that cannot reach the database, to all that is asked."""

    def do_POST(self) -> None:
        self.send_error(503)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@contextmanager
def unwell() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Unwell) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_its_nginx_brings_a_form_that_one_node_cannot_store_to_another(tmp_path: Path) -> None:
    with several(tmp_path, 1, CHAT_TRUSTED_PROXIES="127.0.0.1") as (node,), unwell() as port:
        nginx = Nginx(tmp_path, [port, node.port], encrypted=True)
        with nginx:
            rooms = [ask(nginx, "/", form="name=Ann&code=&create=1") for _ in range(4)]
    assert [room.status for room in rooms] == [303] * 4


def test_its_nginx_lets_the_chat_say_itself_that_the_database_is_away(tmp_path: Path) -> None:
    """If nginx remembered who said 503, it would soon serve nothing at all."""
    with ExitStack() as stack:
        database = stack.enter_context(running())
        settings = {"CHAT_DATABASE_URL": database.database(), "CHAT_TRUSTED_PROXIES": "127.0.0.1"}
        nodes = stack.enter_context(several(tmp_path, 2, **settings))
        nginx = Nginx(tmp_path, [node.port for node in nodes], encrypted=True)
        stack.enter_context(nginx)
        assert ask(nginx, "/healthz").text == "ok store=fsync redis=ok\n"
        database.stop()
        for _ in range(6):
            away = ask(nginx, "/rooms/BCDFGHJK")
            assert (away.status, "Not just now" in away.text) == (503, True)
            assert ask(nginx, "/").status == 200
        database.start()
        deadline = time.monotonic() + 30
        while ask(nginx, "/healthz").status != 200:
            assert time.monotonic() < deadline, "the nodes do not find the database again"
            time.sleep(0.05)
