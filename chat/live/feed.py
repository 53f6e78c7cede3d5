"""What changed lately in one room, and how it reaches the connections that follow it."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Generic, Protocol, TypeVar

from chat.live.framing import Frame, frame_part, join, websocket_frame
from chat.live.slots import Panels
from chat.model.members import Member
from chat.model.messages import Message
from chat.model.notices import DESCRIBES
from chat.model.rooms import Position
from chat.store.windows import Part, weight
from chat.views.look import Look
from chat.views.messages import RenderedMessages
from chat.views.trimming import Trims

RING = 256  # revs kept in memory per live room
RING_BYTES = 256 * 1024  # of texts as Python holds them, so that a room of long messages costs no more
FRAMES = 128 * 1024  # bytes of frames that are kept for others at the same place, per room

Place = tuple[Look, int, int]  # the look and the cursor of readers, and up to where they have every text


class Follower(Protocol):
    """A connection's place in a feed."""

    member: Member
    cursor: int | None
    texts: int | None  # None: its page has every text up to the cursor
    look: Look
    write_frame: Callable[[bytes], bool] | None
    waiting: asyncio.Future[None] | None  # if not, something waits for it

    def wake(self) -> None: ...


F = TypeVar("F", bound=Follower)


class Feed(Generic[F]):
    """The recent changes of one room and the connections that follow it."""

    def __init__(
        self,
        code: str,
        rendered: RenderedMessages,
        delivered: Callable[[int, int], None],
        forget: Callable[[str, Message], None],
        retitled: Callable[[str], None] = lambda code: None,
        seats_ended: Callable[[str], None] = lambda code: None,
    ) -> None:
        """`forget` drops what is kept of a message as it was before a change.

        `retitled` is called when the title of the room may be another than was shown last, `seats_ended`
        when somebody has left for good.
        """
        self.code = code
        self.position = Position("", 0)
        self.connections: set[F] = set()
        self.ended: dict[int, str] = {}  # seats that ended while this feed was live: the verb of each
        self.panels = Panels()
        self.hinted_rev = 0  # the newest one: the log is read up to there
        self.repairing: asyncio.Task[None] | None = None
        self.loaded = asyncio.Event()
        self._rendered = rendered
        self._floor = 0  # cursors below this cannot be served from the ring
        self._trims = Trims()
        self._ring: deque[tuple[int, int]] = deque()  # (rev, id), revs rising
        self._messages: dict[int, Message] = {}
        self._bytes = 0
        self._frames: dict[Place, Frame] = {}  # for the present position
        self._frames_bytes = 0
        self._flushing = False
        self._delivered = delivered
        self._forget = forget
        self._retitled = retitled
        self._seats_ended = seats_ended

    def expect(self, rev: int) -> None:
        """A hint says that the log goes this far."""
        self.hinted_rev = max(self.hinted_rev, rev)

    def start_at(self, position: Position) -> None:
        self.position = position
        self._floor = position.rev
        self._ring.clear()
        self._messages.clear()
        self._forget_frames()
        self._bytes = 0
        self._retitled(self.code)

    def apply(self, messages: Iterable[Message], position: Position) -> None:
        """Take changes; `position` is where they lead."""
        due = [(m.rev if m.rev <= position.rev else m.id, m) for m in messages]
        for rev, message in sorted(due, key=itemgetter(0)):
            self._keep(rev, message)
        self.position = position
        self._forget_frames()
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self.flush)

    def apply_next(self, message: Message, position: Position) -> None:
        """Take the very next change. The caller has it flushed when it has no more."""
        self._keep(position.rev, message)
        self.position = position
        self._forget_frames()

    def flush(self) -> None:
        """Whatever came in a turn of the event loop: write it to free sockets, wake the others."""
        self._flushing = False
        delivered = changes = 0
        for cursor, by_look in self._free().items():
            frames = self.frames(list(by_look), cursor)
            for look, free in by_look.items():
                frame = frames.get(look, Frame("", cursor))
                written = self._write(frame, free)
                delivered, changes = delivered + written, changes + written * (frame.rev - cursor)
        self._delivered(delivered, changes)

    def _free(self) -> dict[int, dict[Look, list[F]]]:
        """Those whose sockets are free, by where they stand and their look; the others are woken."""
        places: dict[int, dict[Look, list[F]]] = {}
        by_look: dict[Look, list[F]] = {}
        place: list[F] = []
        last: int | None = None
        last_look: Look | None = None
        for connection in self.connections:
            cursor, look = connection.cursor, connection.look
            has_ended = self.ended and connection.member.number in self.ended
            is_free = connection.waiting is not None and connection.write_frame is not None
            if not is_free or cursor is None or connection.texts is not None or has_ended:
                connection.wake()
                continue
            if cursor != last:  # most stand where the one before does
                last, last_look = cursor, None
                by_look = places.setdefault(cursor, {})
            if look is not last_look:
                last_look = look
                place = by_look.get(look) or by_look.setdefault(look, [])
            place.append(connection)
        return places

    def _write(self, frame: Frame, free: Iterable[F]) -> int:
        """To how many of these sockets a frame was written; the others are woken."""
        data, is_all, written = websocket_frame(frame.text), frame.rev >= self.position.rev, 0
        for connection in free:
            if data and (write := connection.write_frame) and write(data):
                if not is_all:
                    connection.texts = connection.cursor
                    connection.wake()
                connection.cursor = frame.rev
                written += 1
            else:
                connection.wake()
        return written

    def _keep(self, rev: int, message: Message) -> None:
        """`rev` is the message's, or its first one if its last change has yet to come."""
        old = self._messages.get(message.id)
        if old is not None:
            self._bytes -= weight(old)
        if message.rev != message.id:
            self._forget(self.code, message)
            self._quote(message)
        self._bytes += weight(message)
        self._messages[message.id] = message
        self._ring.append((rev, message.id))
        if rev == message.id:
            self._trims.note(rev)
        if message.notice:
            self.ended.update(dict.fromkeys(message.notice.ended, message.notice.ending))
            if message.notice.ended:
                self._seats_ended(self.code)
            if message.notice.verb in DESCRIBES:
                self._retitled(self.code)
        while len(self._ring) > RING or (self._bytes > RING_BYTES and len(self._ring) > 1):
            self._forget_oldest()

    def _quote(self, changed: Message) -> None:
        """Have those that answer a changed message show it as it is now."""
        quoted = changed.as_quoted
        for id, old in self._messages.items():
            if old.quoted and old.quoted.id == changed.id:
                self._messages[id] = new = replace(old, quoted=quoted)
                self._bytes += weight(new) - weight(old)

    def _forget_oldest(self) -> None:
        rev, id = self._ring.popleft()
        self._floor = rev
        if self._messages[id].rev == rev:  # otherwise a later entry of the ring still needs it
            self._bytes -= weight(self._messages.pop(id))

    def part(self, look: Look, cursor: int) -> Part | None:
        """Older messages that changed and messages created after `cursor`, each once and in id order.

        Only the start of it if all would be longer than a frame. None if the cursor is too old for the ring.
        """
        if cursor < self._floor:
            return None
        return frame_part(self._rendered.of(self.code, look), self._after(cursor))

    def since(self, cursor: int) -> Part | None:
        """All that came after `cursor`, as it is now; None if the cursor is too old for the ring."""
        return self._after(cursor) if cursor >= self._floor else None

    def _after(self, cursor: int) -> Part:
        ids: set[int] = set()
        for rev, id in reversed(self._ring):
            if rev <= cursor:
                break
            ids.add(id)
        newest = [self._messages[id] for id in sorted(ids)]
        changed, created = [m for m in newest if m.id <= cursor], [m for m in newest if m.id > cursor]
        return Part(changed, created, max(cursor, self.position.rev))

    def frame(self, look: Look, cursor: int, texts: int | None = None) -> Frame | None:
        """What is after `cursor`, or the start of it. None if the cursor is too old for the ring."""
        return self.frames((look,), cursor, texts).get(look)

    def frames(self, looks: Sequence[Look], cursor: int, texts: int | None = None) -> dict[Look, Frame]:
        """As `frame` for each look, joined once for all of that look who stand there.

        They have every text up to `texts`, which is the cursor for most.
        """
        texts = cursor if texts is None else texts
        if cursor >= self.position.rev:
            return dict.fromkeys(looks, Frame("", cursor))
        frames = {look: frame for look in looks if (frame := self._frames.get((look, cursor, texts)))}
        missing = [look for look in looks if look not in frames]
        if missing and cursor >= self._floor:
            joined = self._newest(missing, cursor) or self._joined(missing, cursor, texts)
            for look, frame in zip(missing, joined, strict=True):
                frames[look] = frame
                self._keep_frame((look, cursor, texts), frame)
        return frames

    def _joined(self, looks: Sequence[Look], cursor: int, texts: int) -> list[Frame]:
        frames = join(self._rendered, self.code, looks, self._after(cursor), texts)
        if (trim := self._trims.within(cursor, min(frame.rev for frame in frames))) is None:
            return frames
        rows = self._rendered.trimmed(looks, self.code, trim)
        return [frame._replace(text=frame.text + row) for frame, row in zip(frames, rows, strict=True)]

    def _newest(self, looks: Sequence[Look], cursor: int) -> list[Frame]:
        """If it is all that comes after `cursor`: the usual case."""
        rev, id = self._ring[-1]
        message = self._messages[id]
        is_only = cursor + 1 == id == rev == message.rev == self.position.rev
        if not is_only or self._trims.within(cursor, rev):
            return []
        return [Frame(html, rev) for html in self._rendered.messages(looks, self.code, message)]

    def _keep_frame(self, place: Place, frame: Frame) -> None:
        self._frames_bytes += sys.getsizeof(frame.text)
        self._frames[place] = frame
        while self._frames_bytes > FRAMES and len(self._frames) > 1:
            self._frames_bytes -= sys.getsizeof(self._frames.pop(next(iter(self._frames))).text)

    def _forget_frames(self) -> None:
        self._frames.clear()
        self._frames_bytes = 0

    def show(self, panel: str, render: Callable[[Look], str]) -> None:
        """Send everybody here a fragment soon, in place of an older one of the same panel."""
        self.panels.show(panel, render, {connection.look for connection in self.connections})
        for connection in self.connections:
            connection.wake()
