"""What the README says about Caddy, with a real one: forms, live pages, a restart, and what it logs."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from caddy import Caddy
from nginx import ADDRESS
from serving import Server
from test_cluster_page import ask
from wire import handshake


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    env = {"CHAT_DATABASE_URL": f"sqlite:///{tmp_path}/chat.db", "CHAT_TRUSTED_PROXIES": "127.0.0.1"}
    with Server(env=env) as server:
        yield server


@pytest.fixture
def caddy(tmp_path: Path, server: Server) -> Iterator[Caddy]:
    (tmp_path / "caddy").mkdir()
    with Caddy(tmp_path / "caddy", server.port) as caddy:
        yield caddy


def _created(caddy: Caddy) -> tuple[str, str]:
    """The address of a new room, and the cookie of its member."""
    created = ask(caddy, "/", form="name=Ann&create=1")
    assert created.status == 303, created.text
    return created.headers["Location"], created.headers["Set-Cookie"].partition(";")[0]


def _reached(caddy: Caddy, sent: bytes, *wanted: bytes) -> bytes:
    """What comes back while the connection stays open."""
    trusting = ssl.create_default_context(cafile=caddy.folder / "fullchain.pem")
    plain = socket.create_connection(("127.0.0.1", caddy.port), 15)
    with trusting.wrap_socket(plain, server_hostname=ADDRESS) as connection:
        connection.sendall(sent)
        came = b""
        while not all(each in came for each in wanted):
            came += (part := connection.recv(65536))
            assert part, came
    return came


def test_forms_sockets_and_live_pages_reach_the_chat(caddy: Caddy) -> None:
    room, cookie = _created(caddy)
    name, _, value = cookie.partition("=")
    assert name == "__Host-chat"
    assert ask(caddy, "/metrics").status == 404
    assert f"https://{ADDRESS}{room}" in _page(caddy, room, cookie)
    socket_opened = handshake(
        f"{room}/live", host=ADDRESS, headers={"Origin": f"https://{ADDRESS}"}, cookies={name: value}
    )
    assert b" 101 " in _reached(caddy, socket_opened, b"\r\n\r\n").partition(b"\r\n")[0]
    page = f"GET {room}/stream HTTP/1.1\r\nHost: {ADDRESS}\r\nCookie: {cookie}\r\n\r\n".encode()
    _reached(caddy, page, b'class="messages"')


def _page(caddy: Caddy, path: str, cookie: str) -> str:
    page = f"GET {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nCookie: {cookie}\r\n\r\n".encode()
    return _reached(caddy, page, b"</html>").decode()


def test_a_request_waits_while_the_chat_restarts(caddy: Caddy, server: Server) -> None:
    server.kill()
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(ask(caddy, "/").status))
    asking.start()
    server.start()
    asking.join(20)
    assert answers == [200]


def test_no_code_of_a_room_is_written_down(tmp_path: Path, server: Server) -> None:
    with Caddy(tmp_path, server.port, patience="1s") as caddy:
        room, _ = _created(caddy)
        server.kill()
        assert ask(caddy, room).status == 502
    assert room.rpartition("/")[2] not in caddy.log
