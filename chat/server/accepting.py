"""New connections: how many there may be, and a TLS handshake that ends."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import errno
import logging
import os
import resource
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ssl import SSLContext
from typing import Any

from hypercorn.asyncio import run

from chat.server import bounds
from chat.server.addresses import shared_by, shares
from chat.server.guards import Guard, around
from chat.server.inbox import Line
from chat.server.turns import Turns
from chat.server.worker import Options

log = logging.getLogger("chat")


class Slots:
    """The connections of one process: of each address, and of all with a reserve for new visitors."""

    def __init__(self, options: Options, most: int) -> None:
        self._options = options
        self._most = most
        self._of: Counter[str] = Counter()
        self.total = 0
        self.turns = Turns()  # to be set up

    def address(self, peer: object) -> str | None:
        """Whose connections wait for each other; nobody's if there are no limits."""
        return shared_by(peer, self._options.trusted_proxies) if self._options.rate_limit else None

    def take(self, peer: object) -> Callable[[], None] | str:
        """What gives the connection's slot back when it has ended, or why it gets none."""
        address = shared_by(peer, self._options.trusted_proxies)
        if self.total >= self._most:
            return "all"
        if address is not None and self._options.rate_limit:
            scarce = self.total >= self._most - self._most // bounds.RESERVED_SHARE
            for who, times in shares(address):
                share = self._most // 4 * min(times, 2)  # never all
                if self._of[who] >= min(times * bounds.CONNECTIONS_PER_ADDRESS, share):
                    return "address"
                if scarce and self._of[who] >= times * bounds.CONNECTIONS_OF_A_VISITOR:
                    return "reserve"
        self.total += 1
        self._count(address, 1)
        return partial(_give_back, self, address)

    def give_back(self, address: str | None) -> None:
        self.total -= 1
        self._count(address, -1)

    def _count(self, address: str | None, change: int) -> None:
        for who, _ in shares(address) if address is not None else ():
            self._of[who] += change
            if not self._of[who]:
                del self._of[who]


def _give_back(slots: Slots, address: str | None) -> None:
    """Not a method: it would be one more object of each connection."""
    slots.give_back(address)


def raise_descriptor_limit() -> int:
    """Allow as many descriptors as the system lets us, up to a bound; the number of connections for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = bounds.DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, bounds.DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    most = bounds.DESCRIPTORS if soft == resource.RLIM_INFINITY else min(soft, bounds.DESCRIPTORS)
    return max(most - bounds.OWN_DESCRIPTORS, most // 2)


class _Protocol(asyncio.StreamReaderProtocol, asyncio.BufferedProtocol):
    """Takes a little at a time: asyncio would take all that the kernel has, and allocate 256 KiB for it."""

    BUFFER = memoryview(bytearray(bounds.READ_AT_ONCE))  # of all: it is emptied before anybody else fills it
    release: Callable[[], None] | None = None
    ended = False  # the peer sends nothing more, so it has gone
    when_ended: Callable[[], None] | None = None

    def eof_received(self) -> bool:
        self._end()
        return bool(super().eof_received())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self.BUFFER[:nbytes]))

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            super().connection_lost(exc)
            self._end()
        finally:
            self.let_go()

    def _end(self) -> None:
        self.ended = True
        if self.when_ended is not None:
            self.when_ended()

    def let_go(self) -> None:
        release, self.release = self.release, None
        if release is not None:
            release()


class Acceptor:
    """In place of asyncio.Server, which knows no bound: of one listening socket."""

    def __init__(self, callback: Any, sock: socket.socket, tls: SSLContext | None, slots: Slots) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback, self._sock, self._tls, self._slots = callback, sock, tls, slots
        self._handshakes: set[asyncio.Task[None]] = set()
        self._spare = os.open(os.devnull, os.O_RDONLY)
        self._resume()

    def _resume(self) -> None:
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(bounds.ACCEPTS_AT_ONCE):
            try:
                conn, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._wait(error)
                return
            slot = self._slots.take(peer)
            if isinstance(slot, str):
                conn.close()
                log.warning("connection-refused bound=%s%s", slot, HINTS.get(slot, ""))
                continue
            conn.setblocking(False)
            task = self._loop.create_task(self._open(conn, slot, self._slots.address(peer)))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    def _wait(self, error: OSError) -> None:
        """Out of descriptors or memory. One peer hears of it at once; the others wait a moment."""
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            os.close(self._spare)
            with suppress(OSError):
                self._sock.accept()[0].close()
            self._spare = os.open(os.devnull, os.O_RDONLY)
        log.warning("connection-refused bound=system error=%r", os.strerror(error.errno or 0))
        self._loop.remove_reader(self._sock.fileno())
        self._pause = self._loop.call_later(bounds.ACCEPT_PAUSE, self._resume)

    async def _open(self, conn: socket.socket, release: Callable[[], None], address: str | None) -> None:
        reader = asyncio.StreamReader(limit=bounds.READ_BUFFER, loop=self._loop)
        protocol = _Protocol(reader, self._callback, loop=self._loop)
        protocol._drain_waiters = Line()  # type: ignore[attr-defined]
        protocol.release = release
        timeout = bounds.HANDSHAKE_TIMEOUT if self._tls else None
        try:
            await self._slots.turns.wait(address)
            await self._loop.connect_accepted_socket(
                lambda: protocol, conn, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except OSError:  # also whatever TLS does not like
            protocol.let_go()
            conn.close()
        except BaseException:
            protocol.let_go()
            raise

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        else:
            self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        os.close(self._spare)
        for task in self._handshakes:
            task.cancel()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._handshakes, return_exceptions=True)


HINTS = {"address": ": too many from one address. If that is a proxy, name it in CHAT_TRUSTED_PROXIES"}


class _Asyncio:
    """The module `asyncio` as Hypercorn's worker sees it: its servers have bounds."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._slots: Slots | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def start_server(
        self, callback: Any, *, sock: socket.socket, backlog: int, ssl: Any = None, **_: Any
    ) -> Acceptor:
        if self._slots is None:  # the application has started, so it knows its settings
            options = getattr(self._app, "extensions", {}).get("server") or Options()
            self._slots = Slots(options, raise_descriptor_limit())
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, bounds.RECEIVE_BUFFER)
        sock.listen(backlog)
        sock.setblocking(False)
        return Acceptor(callback, sock, ssl, self._slots)


@around(run, "worker_serve")
async def _serve(original: Guard, app: Any, config: Any, *args: Any, **kwargs: Any) -> None:
    """Every listening socket of a worker shares its slots."""
    config.alpn_protocols = bounds.ALPN
    setattr(run, "asyncio", _Asyncio(app.app))  # noqa: B010
    asyncio.sslproto.SSLProtocol.max_size = bounds.READ_AT_ONCE  # that each has a buffer for, from the start
    await original(app, config, *args, **kwargs)
