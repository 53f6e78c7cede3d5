"""The fast path of decision 42: whole texts go from the transport straight to the application."""

from __future__ import annotations

import asyncio
from typing import Any

from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.ws_stream import ASGIWebsocketState, WSStream
from wsproto.connection import ConnectionState

from chat.server import bounds
from chat.server.peer_frames import PING, PONG, end_of_frame, payload
from chat.server.rates import FrameCount
from chat.server.timer_wheel import TimerWheel


class TextReader(asyncio.Protocol):
    """Stands between the transport of a WebSocket and Hypercorn.

    A text in one whole, masked frame of moderate length goes to the application. A pong ends here, as
    Hypercorn does nothing with it; a ping goes to Hypercorn, and no text need wait for that. From the first
    byte of anything else (a fragment, a fault, a text that the application declines), all goes to Hypercorn,
    until everything that went there has been dealt with. So no message overtakes another.
    """

    def __init__(self, server: Any, hypercorn: Any) -> None:
        self._server, self._hypercorn = server, hypercorn
        self._transport: Any = server.writer.transport
        self._inner: Any = self._transport.get_protocol()
        self._buffer: Any = server.reader.reader  # of what Hypercorn has yet to read
        self._deadlines: TimerWheel = server.context.worker.deadlines
        self._loop = asyncio.get_running_loop()
        self._taker: Any = None
        self._fast = False  # nothing that went to Hypercorn is on its way
        self._rest = b""  # the start of a text; or all that came while nothing is read
        self._held = False  # by the application
        self._others: asyncio.Handle | None = None  # have their turn until this is called
        self._patience: asyncio.TimerHandle | None = None  # until the start of a text goes to Hypercorn
        self.heard = 0.0  # when something came last
        self._rests = False  # Hypercorn, which reads no further until it is woken

    def attach(self, taker: Any) -> None:
        """`taker.take_at_once` is given the payload of a text and says whether it took it.

        `taker.is_idle` says whether all that came through Hypercorn has been dealt with.
        """
        self._taker = taker
        self._transport.set_protocol(self)

    def detach(self) -> None:
        """From now on everything goes to Hypercorn."""
        self._taker = None
        self._wake()
        self._give_up()
        self.release()

    def rest(self) -> bool:
        """Whether Hypercorn need not read on: it is woken when it has to, or when the peer is silent."""
        if self._taker is None or self._buffer._buffer or self._transport.is_closing():
            return False
        self._rests = True
        self._deadlines.add(self, self._loop.time() + self._server.reader.timeout)
        return True

    @property
    def deadline(self) -> float:
        """Until when the peer has to be heard of; it need not while we do not want to read."""
        return float((self._loop.time() if self.waits else self.heard) + self._server.reader.timeout)

    def check(self) -> float | None:
        """For the worker's timer: the time of the next check, or None if the deadline is near."""
        if self.deadline > self._loop.time() + self._deadlines.tick:
            return self.deadline
        self._wake(self.deadline)
        return None

    def _wake(self, deadline: float | None = None) -> None:
        if self._rests:
            self._rests = False
            self._deadlines.remove(self)
            self._server.reader.near = deadline
            self._server._task_group.spawn(self._server._read_data)

    def _pass_on(self, data: bytes) -> None:
        self._inner.data_received(data)
        self._wake()

    @property
    def waits(self) -> bool:
        """Whether nothing is read because we do not want it."""
        return self._held or self._others is not None

    def hold(self) -> None:
        """The application takes no more: nothing is read until it calls `release`."""
        self._held = True
        self._stop_reading()

    def release(self) -> None:
        if self._held:
            self._held = False
            self._go_on()

    def data_received(self, data: bytes) -> None:
        self.heard = self._loop.time()
        continues = bool(self._rest)
        data = self._rest + data if continues else data
        if self.waits:
            self._rest = data
            self._stop_reading()
        elif continues and self._is_one_part_too_many():
            self._rest = data
            self._give_up()
        else:
            self._fast = self._fast or self._is_clean()
            self._parse(data)

    @property
    def _frames(self) -> FrameCount | None:
        """None without limits."""
        return getattr(self._hypercorn.stream, "frames", None)

    def _is_one_part_too_many(self) -> bool:
        """A text in thousands of parts costs a read for each, and counts as one frame."""
        return self._frames is not None and not self._frames.spend(bounds.FRAME_PART)

    def _parse(self, data: bytes) -> None:
        at, size, count = 0, len(data), 0
        while self._fast and at < size and count < bounds.FRAMES_AT_ONCE and not self._held:
            end = end_of_frame(data, at)
            if end > size:
                break
            self._fast = at < end and self._take_frame(data, at, end)
            if self._fast:
                at, count = end, count + 1
        self._rest = data[at:] if self._fast else b""
        if not self._fast:
            self._pass_on(data[at:])
        self._wait_for_rest(count)
        self._pause(count)

    def _take_frame(self, data: bytes, at: int, end: int) -> bool:
        frames = self._frames
        if self._taker is None or (frames is not None and frames.over):
            return False
        if data[at] == PING:
            self._pass_on(data[at:end])
            return True
        if data[at] == PONG:
            if frames is not None:
                frames.spend(1)
            return True  # that it came is all there is to know
        taken: bool = self._taker.take_at_once(payload(data, at, end))
        if taken and frames is not None:
            frames.spend(1)
        return taken

    def _wait_for_rest(self, count: int) -> None:
        """What has begun to arrive is waited for, but not long: Hypercorn has the deadlines."""
        if self._patience is not None and (count or not self._rest):
            self._patience.cancel()
            self._patience = None
        if self._rest and self._patience is None and not self.waits:
            self._patience = self._loop.call_later(bounds.REST_TIMEOUT, self._give_up)

    def _give_up(self) -> None:
        self._fast = False
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._rest:
            data, self._rest = self._rest, b""
            self._pass_on(data)

    def _pause(self, count: int) -> None:
        """After some texts other connections have a turn; an address that sends too many waits longer."""
        frames = self._frames
        pause = frames.pause() if count and frames is not None else 0.0
        if pause:
            self._others = self._loop.call_later(min(pause, bounds.LONGEST_PAUSE), self._end_pause)
        elif count == bounds.FRAMES_AT_ONCE:
            self._others = self._loop.call_soon(self._end_pause)
        if self.waits:
            self._stop_reading()

    def _end_pause(self) -> None:
        self._others = None
        self._go_on()

    def _go_on(self) -> None:
        if self.waits or self._transport.is_closing():
            return
        if self._rest:
            self._parse(self._rest)
        if not self.waits and not self._buffer._paused:
            self._transport.resume_reading()

    def _stop_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _is_clean(self) -> bool:
        """Whether all that went to Hypercorn ended with a whole message, and was dealt with."""
        stream = self._hypercorn.stream
        if self._taker is None or self._buffer._buffer or not (self._rests or self._server.reader.waits):
            return False
        if not isinstance(stream, WSStream) or stream.closed or stream.buffer.value is not None:
            return False
        connection: Any = stream.connection
        frame, message = connection._proto._frame_decoder, connection._proto._message_decoder
        return (
            stream.state is ASGIWebsocketState.CONNECTED
            and connection.state is ConnectionState.OPEN
            and not (connection.more or len(frame.buffer) or frame.header or message.opcode)
            and self._taker.is_idle()
        )

    def eof_received(self) -> bool | None:
        self._give_up()
        ended: bool | None = self._inner.eof_received()
        self._wake()
        return ended

    def connection_lost(self, error: Exception | None) -> None:
        self._taker, self._rest = None, b""
        self._give_up()
        if self._others is not None:
            self._others.cancel()
        self._inner.connection_lost(error)
        self._wake()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


def text_reader(stream: Any) -> TextReader | None:
    """One for the transport of a stream; None if Hypercorn is not as expected."""
    protocol = stream.send.__self__
    if not isinstance(protocol, H11Protocol):
        return None
    server: Any = protocol.send.__self__  # type: ignore[attr-defined]
    if not isinstance(server.writer.transport.get_protocol(), asyncio.StreamReaderProtocol):
        return None
    return TextReader(server, protocol)
