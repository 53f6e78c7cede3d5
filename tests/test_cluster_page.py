"""The operator's page says what is so: its settings, figures and sentences exist, and its nginx serves."""

from __future__ import annotations

import ast
import logging
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import fields
from datetime import datetime
from email.message import Message
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from deployments import several
from nginx import ADDRESS, PAGE, Nginx
from postgres import running
from serving import REPO, free_port

from chat.logs import LineFormat
from chat.metrics import Metrics
from chat.settings import Settings

README = (REPO / "README.md").read_text("utf-8")
LOG = (REPO / "docs" / "log.md").read_text("utf-8")
SETTINGS = {f"CHAT_{field.name.upper()}" for field in fields(Settings)}
OF_ONE_PROCESS = {
    "chat_deliveries_total", "chat_frames_total", "chat_refusals_total", "chat_rooms_live", "chat_streams",
}  # fmt: skip
REFUSING = [  # where a node with neighbours is refused
    "cluster/client.py", "cluster/connection.py", "cluster/parts.py", "startup.py", "settings.py",
    "visitors.py", "store/__init__.py", "store/postgres/errors.py", "store/postgres/hosts.py",
    "store/postgres/instance_lock.py", "store/postgres/schema.py", "store/postgres/server.py",
]  # fmt: skip
LEVELS = {"event", "info", "warning", "error", "exception", "critical"}
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
    named = set(re.findall(r"(?<=`)chat_[a-z_]+(?=[`{])", PAGE)) - {"chat_restored", "chat_before"}
    assert named <= measured
    assert measured - OF_ONE_PROCESS <= named


def test_a_shell_reads_its_file_of_settings_as_systemd_does(tmp_path: Path) -> None:
    """As "Change the secret" has it do, with the address of TLS in it."""
    (block,) = (text for text in blocks(PAGE, "") if "CHAT_SECRET_KEY=" in text)
    (tls,) = re.findall(r"`(\?sslmode=[^`]+)`", PAGE.partition("\n## 4.")[0])
    (tmp_path / "env").write_text(block.replace(":5432/chat", f":5432/chat{tls}"), "utf-8")
    script = f'set -a; . {tmp_path}/env; set +a; printf %s "$CHAT_DATABASE_URL"'
    read = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={})
    assert read.stdout == f"postgresql://chat:PASSWORD-OF-THE-DATABASE@10.0.0.21:5432/chat{tls}"


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
    return _first_column(PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0])


def _first_column(section: str) -> list[str]:
    return [text for row in re.findall(r"^\| (.*?) \|", section, re.MULTILINE) for text in _ticked(row)]


def _ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("sentence", quoted("When a node refuses to start"))
def test_a_refusal_that_it_quotes_is_one(sentence: str, said: str) -> None:
    for part in _parts(sentence):
        assert part in said or re.sub(r"^CHAT_[A-Z_]+", "{}", part) in said, part


@pytest.mark.parametrize("line", _first_column(LOG))
def test_a_line_of_the_log_that_it_explains_is_one(line: str, said: str) -> None:
    said = re.sub(r"%[sd]", "{}", said)
    for word in re.split(r"…|=| ", line):
        assert word.strip("():,.") in said, word


def test_the_line_that_it_shows_is_in_our_format() -> None:
    (shown,) = blocks(LOG, "")
    time, _, event = shown.strip().split(" ", 2)
    record = logging.makeLogRecord({"levelname": "INFO", "msg": event})
    record.created = datetime.fromisoformat(time).timestamp()
    ours = LineFormat().format(record).split(" ", 1)
    assert datetime.fromisoformat(ours[0]) == datetime.fromisoformat(time)
    assert ours[1] == f"INFO {event}"


def _parts(sentence: str) -> list[str]:
    """The fixed parts, without the ends that their callers add."""
    parts = (part.strip(" .:") for piece in sentence.split("…") for part in piece.split(". "))
    return [part for part in parts if len(part) > 3]


def _refusals() -> Iterator[str]:
    for name in REFUSING:
        for node in ast.walk(ast.parse((REPO / "chat" / name).read_text("utf-8"))):
            yield from (said for part in _saying(node) if (said := shape(part)).strip("{}"))


def _saying(node: ast.AST) -> list[ast.expr]:
    """What a refusal is made of."""
    match node:
        case ast.Call() if _name(node.func) in {"Misconfigured", "InUse", "refused"}:
            return node.args
        case ast.FunctionDef(name="explain"):
            return [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
    return []


def _name(called: ast.expr) -> str:
    return called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")


@pytest.mark.parametrize("refusal", sorted(set(_refusals())))
def test_every_refusal_of_a_node_is_explained(refusal: str) -> None:
    if any(part in refusal for part in OF_SQLITE):
        return
    parts = _parts(refusal.replace("{}", "…"))
    telling = min(16, max(map(len, parts)))  # characters
    assert any(part in PAGE for part in parts if len(part) >= telling), refusal


def _logged() -> Iterator[str]:
    """What may be written into the log: the first fixed words of each line."""
    for path in (REPO / "chat").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            yield from map(_beginning, _logging(node))


def _logging(node: ast.AST) -> list[str]:
    match node:
        case ast.Call(ast.Attribute(logger, level), [ast.Constant() | ast.IfExp() as said, *_]):
            if level in LEVELS and _name(logger) in {"log", "logs", "repeats"}:
                parts = (said.body, said.orelse) if isinstance(said, ast.IfExp) else (said,)
                return [shape(part) for part in parts]
    return []


def _beginning(line: str) -> str:
    parts = (part.strip() for part in re.split(r"%[a-z]", line))
    return next(part for part in parts if part)


@pytest.mark.parametrize("words", sorted(set(_logged())))
def test_every_line_of_the_log_is_explained(words: str) -> None:
    assert any(line.lstrip("… ").startswith(words) for line in _first_column(LOG))


# nginx ------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    status: int
    headers: Message
    text: str


class Proxy(Protocol):
    """What stands before the chat, with a certificate of its own."""

    @property
    def port(self) -> int: ...
    @property
    def folder(self) -> Path: ...


def ask(proxy: Proxy, path: str, form: str = "") -> Answer:
    """What a browser gets that looks at a page or, with a form, posts it."""
    trusting = ssl.create_default_context(cafile=proxy.folder / "fullchain.pem")
    plain = socket.create_connection(("127.0.0.1", proxy.port), 15)
    with closing(HTTPSConnection(ADDRESS)) as connection:
        connection.sock = trusting.wrap_socket(plain, server_hostname=ADDRESS)
        sent = {"Origin": f"https://{ADDRESS}", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST" if form else "GET", path, form or None, sent if form else {})
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read().decode())


@pytest.mark.parametrize("document", [PAGE, README], ids=["cluster.md", "README.md"])
def test_nginx_takes_what_a_document_says(document: str, tmp_path: Path) -> None:
    assert Nginx(tmp_path, [1, 2], document, encrypted=True).refusal() == ""


@pytest.mark.parametrize("document", [PAGE, README], ids=["cluster.md", "README.md"])
def test_nginx_has_a_page_ask_again_until_the_chat_is_back(document: str, tmp_path: Path) -> None:
    with Nginx(tmp_path, [free_port(), free_port()], document, encrypted=True) as nginx:
        later = ask(nginx, "/")
        assert (later.status, later.text) == (503, "The chat is restarting.\n")
        assert later.headers["Content-Type"] == "text/plain"
        assert later.headers["Refresh"] == "2"
        assert ask(nginx, "/", form="name=Ann").headers["Refresh"] is None


@pytest.mark.parametrize("document", [PAGE, README], ids=["cluster.md", "README.md"])
def test_nginx_logs_no_code_of_a_room(document: str, tmp_path: Path) -> None:
    paths = {
        "/": "/",
        "/static/chat.0a1b.css": "/static/chat.0a1b.css",
        "/rooms/BCDFGHJK": "/rooms/...",
        "/rooms/BCDFGHJK?before=7": "/rooms/...",
        "/rooms/BCDFGHJK/earlier?before=7&code=BCDFGHJK": "/rooms/.../earlier",
        "/rooms/BCDFGHJK/BCDFGHJK": "/rooms/...",
        "/rooms/bcdfghjk/bcdfghjk": "/rooms/...",
        "//rooms/BCDFGHJK": "/...",
        "/ROOMS/BCDFGHJK": "/...",
        "/%72ooms/BCDFGHJK": "/...",
        "/?code=BCDFGHJK": "/...",
        "/BCDFGHJK": "/...",
        "/static/../rooms/BCDFGHJK": "/...",
    }
    with Nginx(tmp_path, [free_port(), free_port()], document, encrypted=True) as nginx:
        for path in paths:
            ask(nginx, path)
        logged = _lines(tmp_path / "chat.log", len(paths))
        assert [line.split()[3] for line in logged] == list(paths.values())
        errors = (tmp_path / "chat.error.log").read_text() + (tmp_path / "log").read_text()
    assert "bcdfghjk" not in errors.lower()


def _lines(log: Path, count: int) -> list[str]:
    """The lines of a log once it has `count`: nginx writes one after its answer was read."""
    deadline = time.monotonic() + 10
    while len(lines := log.read_text().splitlines()) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return lines


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
            assert ask(nginx, "/").text == "The chat is restarting.\n"


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
