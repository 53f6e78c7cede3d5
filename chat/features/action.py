"""What people do in a room: checked, done and answered in one way, whether a form or a frame asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from chat import limits
from chat.context import Context
from chat.limits import Rate
from chat.model.errors import Conflict, Forbidden, RateLimited, Refused
from chat.model.members import Member
from chat.model.messages import NOT_THEIRS, Message
from chat.model.rooms import Room
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.views.look import Look

NOT_STORED = "This could not be saved just now. Please send it again."
NOT_THERE = "This message is not there any more."
NOT_A_MEMBER = "You are not in this room any more."
TOO_OFTEN = "That was a little too fast."
NOT_YOURS = "You cannot do that in this room."

Role = Literal["member"]
Fields = Mapping[str, str]  # by name, each cut to the length that its rule looks at


class Asked(NamedTuple):
    """What a member asks for."""

    chat: Context
    member: Member
    id: int  # of a message, 0 for the room
    fields: Fields
    look: Look


class Seen(NamedTuple):
    """A message that somebody with these seats looks at, `age` ms after it was sent if they did."""

    chat: Context
    message: Message
    seats: Sequence[int]
    age: int


class Answer(NamedTuple):
    """What they see next: a page, or a fragment where theirs is live."""

    page: str  # below the address of the room
    fragment: str = ""
    changed: bool = True  # anything: if not, it does not count for the room


class Failure(NamedTuple):
    """Why it was not done: an HTTP status, a text for a field, and seconds until it may be tried again."""

    status: int
    text: str
    field: str = ""
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Action:
    """Something people do to a message or to a room: `role` says who may, `rate` how often.

    If it is `shared`, the rate is that of the room, and each member has one for attempts. `size` is how many
    bytes of disk the fields may take. `form` is the template of its form, and `denied` says why somebody is
    not shown it for a message, empty if they are; one about a room is `filled` with what is so now.
    """

    name: str
    run: Callable[[Asked], Awaitable[Answer]]
    rate: Rate
    role: Role = "member"
    size: Callable[[Fields], int] = lambda fields: 0
    form: str = ""
    filled: Callable[[Room, Member], Fields] = lambda room, member: {}
    denied: Callable[[Seen], str] = lambda seen: NOT_THERE
    shared: bool = False


def is_on(fields: Fields, otherwise: str = "Please choose one of the two.") -> bool:
    """What the field `on` says. Raises Refused with `otherwise` if that is neither 0 nor 1."""
    if (on := fields.get("on")) not in ("0", "1"):
        raise Refused(otherwise, "on")
    return on == "1"


def no_text(seen: Seen) -> str:
    """Denies what is about a text that is still there."""
    return "" if seen.message.is_text else NOT_THERE


def no_own_text(seen: Seen) -> str:
    """The same of one that the reader wrote, under whatever name."""
    return no_text(seen) or ("" if seen.message.author in seen.seats else NOT_THEIRS)


async def perform(
    chat: Context,
    member: Member | None,
    address: str,
    action: Action,
    id: int,
    fields: Fields,
    look: Look,
) -> Answer | Failure:
    """Do what somebody at an address asks for, if they may. Only faults of ours are raised."""
    try:
        if member is None:
            raise Forbidden(NOT_A_MEMBER)
        if action.role not in roles_of(member):
            raise Forbidden(NOT_YOURS)
        await _check_limits(chat, member, address, action, fields)
        return await _run(action, Asked(chat, member, id, fields, look))
    except (Refused, NotFound, Unavailable, OutcomeUnknown) as error:
        chat.metrics.refusals.labels(action.name).inc()
        return failure_of(error)


def roles_of(member: Member) -> tuple[Role, ...]:
    """What somebody may act as. So far everybody in a room is a member of it, and nothing else."""
    return ("member",)


async def _run(action: Action, asked: Asked) -> Answer:
    """What fails or changes nothing does not count for the room: others would wait, and see nothing done."""
    answer = None
    try:
        answer = await action.run(asked)
    finally:
        if action.shared and not (answer and answer.changed):
            await asked.chat.limits.give_back(action.rate, asked.member.code)
    return answer


async def _check_limits(chat: Context, member: Member, address: str, action: Action, fields: Fields) -> None:
    """Count it, and the disk that it takes. Raises Refused."""
    rates = [(limits.ATTEMPTS, member.person), (action.rate, member.code)]
    for rate, subject in rates if action.shared else [(action.rate, member.person)]:
        if wait := await chat.limits.take(rate, subject):
            raise RateLimited(TOO_OFTEN, wait)
    if size := action.size(fields):
        check_disk(chat, member, address, size)


def check_disk(chat: Context, member: Member, address: str, size: int) -> None:
    """Count bytes of disk. Raises Refused."""
    place = limits.BYTES_OF_ADDRESS, address
    if wait := chat.own_limits.take_both((limits.BYTES, member.person), place, count=size):
        raise RateLimited("That is a lot of text in one minute.", wait, "body")
    chat.quota.take(size, "body")


def failure_of(error: Exception) -> Failure:
    """The one mapping of what goes wrong to what is answered."""
    match error:
        case RateLimited():
            return Failure(429, error.text, error.field, error.wait)
        case Conflict():
            return Failure(409, error.text, error.field)
        case Forbidden():
            return Failure(403, error.text, error.field)
        case Refused():
            return Failure(422, error.text, error.field)
        case NotFound():
            return Failure(404, NOT_THERE)
        case _:
            return Failure(503, NOT_STORED)
