"""How many connections there may be: from one address, in all, and with few descriptors."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from unittest.mock import Mock

import pytest
from serving import REPO, Server
from tls import certified
from wire import Wire

from chat.server import bounds
from chat.server.accepting import Slots, _Protocol
from chat.server.addresses import shared_by
from chat.server.worker import Options
from chat.settings import Settings


def proxies(text: str) -> Options:
    return Options(trusted_proxies=Settings.from_env({"CHAT_TRUSTED_PROXIES": text}).trusted_proxies)


# --- Slots ---


def test_one_address_has_a_quarter_of_all_connections_and_gets_them_back() -> None:
    slots = Slots(Options(), 400)
    given = [slots.take(("192.0.2.1", port)) for port in range(100)]
    assert all(map(callable, given))
    assert slots.take(("192.0.2.1", 1)) == "address"
    assert callable(slots.take(("192.0.2.2", 1)))
    give_back = given[0]
    assert callable(give_back)
    give_back()
    assert callable(slots.take(("192.0.2.1", 1)))


def test_one_address_has_no_more_than_its_bound_however_many_there_are() -> None:
    slots = Slots(Options(), 60_000)
    for port in range(bounds.CONNECTIONS_PER_ADDRESS):
        assert callable(slots.take(("192.0.2.1", port)))
    assert slots.take(("192.0.2.1", 1)) == "address"


def test_the_last_connections_are_for_addresses_that_have_few() -> None:
    slots = Slots(Options(), 800)
    for host in range(7):
        for port in range(100):
            assert callable(slots.take((f"192.0.2.{host}", port)))
    assert slots.take(("192.0.2.0", 1)) == "reserve"
    for host in range(50):
        for port in range(2):
            assert callable(slots.take((f"198.51.100.{host}", port)))
    assert slots.take(("203.0.113.1", 1)) == "all"


def test_a_network_of_ipv6_has_half_of_all_connections_however_many_addresses_it_has() -> None:
    slots = Slots(Options(), 400)
    given = [slots.take((f"2001:db8:1:{n:x}::1", 1)) for n in range(200)]
    assert all(map(callable, given))
    assert slots.take(("2001:db8:1:ffff::1", 1)) == "address"
    assert callable(slots.take(("2001:db8:2::1", 1)))
    for give_back in given:
        assert callable(give_back)
        give_back()
    assert callable(slots.take(("2001:db8:1:ffff::1", 1)))


def test_a_proxy_and_a_unix_socket_are_bounded_by_the_total_alone() -> None:
    slots = Slots(proxies("192.0.2.1"), 400)
    for port in range(200):
        assert callable(slots.take(("192.0.2.1", port)))
        assert callable(slots.take(""))
    assert slots.take(("192.0.2.1", 1)) == "all"


def test_load_tests_come_from_one_address() -> None:
    slots = Slots(Options(rate_limit=False), 400)
    assert all(callable(slots.take(("192.0.2.1", port))) for port in range(400))
    assert slots.take(("192.0.2.1", 1)) == "all"


async def test_a_slot_is_given_back_whatever_fails_at_the_end_of_its_connection() -> None:
    slots = Slots(Options(), 400)
    release = slots.take(("192.0.2.1", 1))
    assert callable(release)
    protocol = _Protocol(asyncio.StreamReader(), None)
    protocol.release = release
    protocol.when_ended = Mock(side_effect=RuntimeError)
    with pytest.raises(RuntimeError):
        protocol.connection_lost(ConnectionResetError())
    assert slots.total == 0


SHARED = {
    "IPv4": (("192.0.2.1", 1), "192.0.2.1"),
    "IPv6": (("2001:db8:1:2:3:4:5:6", 1, 0, 0), "2001:db8:1:2::/64"),
    "IPv6 of a link": (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
    "IPv4 in IPv6": (("::ffff:192.0.2.1", 1, 0, 0), "192.0.2.1"),
    "a proxy": (("10.0.0.1", 1), None),
    "a proxy, IPv4 in IPv6": (("::ffff:10.0.0.1", 1, 0, 0), None),
    "a Unix socket": ("", None),
    "nothing": (None, None),
}


@pytest.mark.parametrize("kind", SHARED)
def test_a_cap_is_shared_by_what_one_customer_has(kind: str) -> None:
    peer, shared = SHARED[kind]
    assert shared_by(peer, proxies("10.0.0.0/8").trusted_proxies) == shared


# --- A real server ---


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    config = tmp_path_factory.mktemp("server") / "hypercorn.toml"
    config.write_text(f'worker_class = "{request.param}"\ngraceful_timeout = 2\n')
    return config


def limited(config: Path, soft: int, hard: int) -> Server:
    """A server of which the system allows so many descriptors."""
    soft_limit, hard_limit = f"ulimit -Sn {soft}", f"ulimit -Hn {hard}"
    wrapper = config.with_name(f"limited-{soft}-{hard}")
    hypercorn = Path(sys.executable).with_name("hypercorn")
    wrapper.write_text(f'#!/bin/sh\n{soft_limit} && {hard_limit} && exec {hypercorn} "$@"\n')
    wrapper.chmod(0o755)
    return Server("tests.guarded_app:create_app()", config=config, program=wrapper)


async def served(port: int) -> bool:
    async with asyncio.timeout(10), await Wire.open(port) as wire:
        try:
            await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        except OSError:
            return False
        return (await wire.rest()).startswith(b"HTTP/1.1 200 ")


async def test_the_soft_limit_of_descriptors_is_raised_to_what_is_allowed(config: Path) -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    with limited(config, 256, hard) as server:
        (worker,) = server.workers or server.pids[:1]
        limits = Path(f"/proc/{worker}/limits").read_text()
        found = re.search(r"Max open files\s+(\d+)", limits)
        assert found
        assert int(found[1]) == hard


async def test_a_crowd_from_one_address_is_turned_away_in_silence_and_the_others_are_served(
    config: Path,
) -> None:
    """With 256 descriptors there are 128 connections, of which one address has 32."""
    with limited(config, 256, 256) as server:
        async with AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(await Wire.open(server.port)) for _ in range(300)]
            async with asyncio.timeout(10):
                ended = [asyncio.create_task(wire.rest()) for wire in crowd]
                while sum(task.done() for task in ended) < 268:
                    await asyncio.sleep(0.02)
            assert not await served(server.port)
            other = socket.socket()
            other.bind(("127.0.0.9", 0))
            other.setblocking(False)
            await asyncio.get_running_loop().sock_connect(other, ("127.0.0.1", server.port))
            async with Wire(*await asyncio.open_connection(sock=other)) as wire, asyncio.timeout(5):
                await wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert (await wire.rest()).startswith(b"HTTP/1.1 200 ")
            for task in ended:
                task.cancel()
        async with asyncio.timeout(10):
            while not await served(server.port):
                await asyncio.sleep(0.02)
        assert "Traceback" not in server.log
        assert "CHAT_TRUSTED_PROXIES" in server.log


async def test_a_server_without_a_descriptor_left_says_so_once_and_goes_on_when_it_can(
    config: Path, tmp_path: Path
) -> None:
    """As if something else had opened too many files: the bound of connections is far."""
    script = tmp_path / "starving_app.py"
    script.write_text(
        "import resource\n"
        "from chat.server import accepting\n"
        "from tests.guarded_app import create_app as guarded\n"
        "def create_app():\n"
        "    accepting.raise_descriptor_limit = lambda: 10_000\n"
        "    app = guarded()\n"
        "    @app.before_serving\n"
        "    async def starve():\n"
        "        import os\n"
        "        used = len(os.listdir('/proc/self/fd'))\n"
        "        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 20, hard))\n"
        "    return app\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(REPO), str(REPO / "tests")])
    with Server("starving_app:create_app()", config=config, env={"PYTHONPATH": paths}) as server:
        written = len(server.log)
        async with AsyncExitStack() as stack:
            for _ in range(200):
                await stack.enter_async_context(await Wire.open(server.port))
            await asyncio.to_thread(server.wait_for_log, "connection-refused bound=system")
        async with asyncio.timeout(20):
            while not await served(server.port):
                await asyncio.sleep(0.05)
        assert "Traceback" not in server.log
        assert len(server.log) - written < 3000


# --- TLS ---

STALLS = {
    "says nothing": b"",
    "says one byte": b"\x16",
    "stops in its greeting": bytes.fromhex("16030100a5010000a1") + bytes(20),
}


@pytest.fixture(scope="module")
def tls_server(config: Path) -> Iterator[Server]:
    certificate, key = certified(config.parent, "IP:127.0.0.1")
    options = ("--certfile", str(certificate), "--keyfile", str(key))
    with Server("tests.guarded_app:create_app()", config=config, options=options) as server:
        yield server


@pytest.mark.parametrize("kind", STALLS)
async def test_a_client_that_stalls_in_its_tls_handshake_is_let_go(tls_server: Server, kind: str) -> None:
    written = len(tls_server.log)
    async with asyncio.timeout(bounds.HANDSHAKE_TIMEOUT), await Wire.open(tls_server.port) as wire:
        if STALLS[kind]:
            await wire.send(STALLS[kind])
        await wire.rest()
    assert "Traceback" not in tls_server.log[written:]


async def test_what_is_not_tls_is_let_go_at_once_without_a_traceback(tls_server: Server) -> None:
    written = len(tls_server.log)
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05aaaaa", b"\x15\x03\x01\x00\x02\x02\x28"):
        async with asyncio.timeout(3), await Wire.open(tls_server.port) as wire:
            await wire.send(data)
            await wire.rest()
    assert "Traceback" not in tls_server.log[written:]


def test_over_tls_the_server_answers(tls_server: Server, config: Path) -> None:
    answer = subprocess.run(
        [
            "curl",
            "-sS",
            "--cacert",
            str(config.with_name("fullchain.pem")),
            f"https://127.0.0.1:{tls_server.port}/",
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert "pid" in answer.stdout
