"""What a store has to do, in a few dicts and lists, and a reader that follows one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from chat.model.changes import Change, Window
from chat.model.errors import Forbidden
from chat.model.lookalikes import skeleton
from chat.model.members import Member
from chat.model.messages import Amendment, Edit, Message, Previous, Version
from chat.model.meta import NO_META, Meta, with_meta
from chat.model.notices import Notice, Verb, dump_notice, folded, renamed
from chat.model.rooms import Position
from chat.store import NotFound

VERSIONS = 2  # of a message that a store keeps, while it is compared with this


class Clock:
    """A clock that tests set; in seconds, like time.time."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    @property
    def ms(self) -> int:
        return int(self.now * 1000)


@dataclass
class Seat:
    member: Member
    held: bool = True
    here: bool = False
    announced: int = 0  # as the room was told: not yet, that they are here, or that they left
    read: int = 0  # up to which rev


@dataclass
class ModelRoom:
    code: str
    epoch: str
    clock: Clock
    rev: int = 0
    messages: list[Message] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)
    keys: dict[tuple[int, str], tuple[int, int]] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    earlier: dict[int, list[Version]] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.rev)

    def held(self, person: str) -> Seat | None:
        return next((s for s in self.seats if s.held and s.member.person == person), None)

    def take_seat(self, person: str, name: str) -> Member:
        if held := self.held(person):
            return held.member
        seat = self._seat_named(person, name)
        seat.read = self.rev
        return seat.member

    def _seat_named(self, person: str, name: str) -> Seat:
        for seat in self.seats:
            if (seat.member.person, seat.member.name) == (person, name):
                seat.held = True
                return seat
        marks = [s.member.mark for s in self.seats if s.member.person != person and _alike(s, name)]
        member = Member(self.code, len(self.seats) + 1, person, name, 1 + max(marks, default=0))
        self.seats.append(Seat(member))
        return self.seats[-1]

    def end_seat(self, person: str) -> Change | None:
        seat = self.held(person)
        if seat is None:
            return None
        seat.held = seat.here = False
        seat.announced = 2
        return self._notify({"left": [seat.member]}, ended=True)

    def rename_seat(self, person: str, name: str) -> Change | None:
        old = self.held(person)
        if old is None:
            raise NotFound
        if old.member.name == name:
            return None
        here, old.held, old.here, old.announced = old.here, False, False, 2
        new = self._seat_named(person, name)
        new.here, new.announced, new.read = here, 1, max(new.read, old.read)
        return self._add(None, notice=renamed(old.member, new.member))

    def note_read(self, number: int, rev: int) -> None:
        if 1 <= number <= len(self.seats):
            seat = self.seats[number - 1]
            seat.read = max(seat.read, min(rev, self.rev))

    def set_back(self, number: int, rev: int) -> None:
        if 1 <= number <= len(self.seats):
            self.seats[number - 1].read = min(self.seats[number - 1].read, rev)

    def unread(self, person: str) -> int | None:
        """Texts of others after what somebody has read; None if they have no seat."""
        seat = self.held(person)
        if seat is None:
            return None
        later = [m for m in self.messages if m.id > seat.read and m.body is not None]
        return sum(self._person(m.author) != person for m in later)

    def announce(self, verb: Verb, numbers: Iterable[int]) -> Change | None:
        here = verb == "entered"
        seats = [self.seats[n - 1] for n in dict.fromkeys(numbers) if 1 <= n <= len(self.seats)]
        done: dict[Verb, list[Member]] = {}
        for seat in [s for s in seats if s.held and s.here != here]:
            first: Verb = ("arrived", "entered", "returned")[seat.announced]
            done.setdefault(first if here else "away", []).append(seat.member)
            seat.here, seat.announced = here, 1
        return self._notify(done, ended=False) if done else None

    def _notify(self, done: dict[Verb, list[Member]], ended: bool) -> Change | None:
        last = self.messages[-1] if self.messages else None
        (verb, members), *more = done.items()
        notice, replaces = folded(last, verb, members, self._at(), ended)
        for verb, members in more:
            notice = notice.plus(verb, members, ended)
        if not (last and replaces):
            return self._add(None, notice=notice)
        return self._change(last, meta=_told(notice)) if notice != last.notice else None

    def _at(self) -> int:
        return self.clock.ms

    def _add(
        self, seat: Seat | None, body: str = "", notice: Notice | None = None, answers: Message | None = None
    ) -> Change:
        at, before = self._at(), None
        if self.messages:
            before = Previous(self.messages[-1].author, self.messages[-1].at)
        self.rev += 1
        author, name, mark = (
            (seat.member.number, seat.member.name, seat.member.mark) if seat else (None, "", 1)
        )
        kind, meta = "text" if seat else "notice", _told(notice) if notice else NO_META
        text = body if seat else None
        quoted = answers.as_quoted if answers else None
        meta = {"reply": answers.id} if answers else meta
        message = Message(self.rev, self.rev, at, author, name, mark, text, kind, meta, before, quoted)
        self.messages.append(message)
        return Change(self.code, message, self.position)

    def _change(self, message: Message, **fields: object) -> Change:
        self.rev += 1
        changed = replace(message, rev=self.rev, **fields)  # type: ignore[arg-type]
        self.messages[self.messages.index(message)] = changed
        self.messages = [quoting(m, changed) for m in self.messages]
        return Change(self.code, changed, self.position)

    def append(self, author: int, key: str, body: str, reply: int | None = None) -> Change:
        if repeated := self._repeated(author, key):
            return repeated
        seat = self.seats[author - 1] if 1 <= author <= len(self.seats) else None
        if seat is None or not seat.held:
            raise NotFound
        answers = None if reply is None else self.message(reply)
        if reply is not None and (answers is None or answers.body is None):
            raise NotFound
        return self._remembered(author, key, self._add(seat, body, answers=answers))

    def amend(self, id: int, by: int, change: Amendment) -> Change:
        seat, old = self.seats[by - 1], self.message(id)
        if not seat.held:
            raise Forbidden("")
        if old is None or old.kind != "text" or old.body is None:
            raise NotFound
        if self._person(by) != self._person(old.author):
            raise Forbidden("")
        self.erased.add(old.body)
        if isinstance(change, Edit):
            version = Version(old.text_rev, old.edited or old.at, old.body)
            self.earlier[id] = [*self.earlier.get(id, []), version][-VERSIONS:]
            meta = with_meta(old.meta, edited=self.clock.ms, text_rev=self.rev + 1)
            return self._change(old, body=change.body, meta=meta)
        self.earlier.pop(id, None)
        return self._change(old, body=None, meta=NO_META, quoted=None)

    def react(self, person: str, id: int, emoji: str, on: bool) -> Change | None:
        seat, message = self.held(person), self.message(id)
        if seat is None:
            raise Forbidden("")
        if message is None or message.kind != "text" or message.body is None:
            raise NotFound
        own = {s.member.number for s in self.seats if s.member.person == person}
        given = {kind: list(seats) for kind, seats in message.meta.get("reactions", {}).items()}
        if bool(own & set(given.get(emoji, []))) == on:
            return None
        others = [number for number in given.get(emoji, []) if number not in own]
        given[emoji] = [*others, seat.member.number] if on else others
        return self._change(message, meta=with_meta(message.meta, reactions=_any(given)))

    def message(self, id: int) -> Message | None:
        return next((m for m in self.messages if m.id == id), None)

    def _person(self, number: int | None) -> str:
        return next((s.member.person for s in self.seats if s.member.number == number), f"nobody {number}")

    def _repeated(self, author: int, key: str) -> Change | None:
        if (author, key) not in self.keys:
            return None
        id, rev = self.keys[author, key]
        message = self.message(id)
        assert message
        return Change(self.code, message, Position(self.epoch, rev), duplicate=True)

    def _remembered(self, author: int, key: str, done: Change) -> Change:
        self.keys[author, key] = done.message.id, done.position.rev
        return done


def _any(given: dict[str, list[int]]) -> dict[str, list[int]] | None:
    return {emoji: seats for emoji, seats in given.items() if seats} or None


def _told(notice: Notice) -> Meta:
    return {"notice": dump_notice(notice)}


def quoting(message: Message, changed: Message) -> Message:
    """The message, which shows what has changed if it answers that."""
    is_answer = message.quoted is not None and message.quoted.id == changed.id
    return replace(message, quoted=changed.as_quoted) if is_answer else message


def _alike(seat: Seat, name: str) -> bool:
    one, other = skeleton(seat.member.name), skeleton(name)
    return one.folded == other.folded or one.shape == other.shape


class Reader:
    """Follows a room by its changes, as a browser does, and notices whatever a browser would suffer from."""

    def __init__(self, position: Position, messages: Iterable[Message] = ()) -> None:
        self.position = position
        self.messages = {m.id: m for m in messages}

    def take(self, window: Window) -> None:
        for message in window.changed:
            assert message.id in self.messages, "an unknown message changed"
            self.messages[message.id] = message
            self.messages = {id: quoting(m, message) for id, m in self.messages.items()}
        for message in window.created:
            assert message.id > max(self.messages, default=0), "a message came twice or out of order"
            self.messages[message.id] = message
        assert window.position.rev >= self.position.rev
        self.position = window.position
