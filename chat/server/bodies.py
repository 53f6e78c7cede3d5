"""Bodies of requests: of one type, counted while they arrive, and with few fields."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from quart.formparser import FormDataParser
from quart.wrappers import Request
from quart.wrappers.request import Body
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout, ServiceUnavailable

from chat.server import bounds
from chat.server.addresses import shares
from chat.server.turns import Busy, Place

FORM = "application/x-www-form-urlencoded"


class Overloaded(ServiceUnavailable):
    """Others are sending too much at the moment."""

    text = "The server is very busy and did not take what you sent. Please send it again in a moment."


class Bodies:
    """Bytes of the bodies that are arriving at a process, of all addresses and of each."""

    def __init__(self) -> None:
        self.total = 0
        self.of: Counter[str] = Counter()

    def take(self, address: str | None, size: int, coming: int) -> bool:
        """Count bytes; False if that is too much. Without an address (a proxy's) only the total counts.

        `coming` are those and all that follow in the same body. The last eighth takes only what fits whole:
        parts of bodies that are refused in the end would keep it from the visitors it is for.
        """
        total = self.total + size
        if total > bounds.BODIES:
            return False
        scarce = total > bounds.BODIES - bounds.BODIES // bounds.RESERVED_SHARE
        for who, times in shares(address) if address is not None else ():
            share = times * (bounds.BODIES_OF_A_VISITOR if scarce else bounds.BODIES_PER_ADDRESS)
            if self.of[who] + (coming if scarce else size) > min(share, bounds.BODIES // 2):
                return False
        self._count(address, size)
        return True

    def give_back(self, address: str | None, size: int) -> None:
        self._count(address, -size)

    def _count(self, address: str | None, change: int) -> None:
        self.total += change
        for who, _ in shares(address) if address is not None else ():
            self.of[who] += change
            if not self.of[who]:
                del self.of[who]


class CountedBody(Body):
    """The first bytes are always taken: a message of usual length needs no room beside others."""

    bodies: Bodies | None = None
    address: str | None = None
    taken = parts = 0
    place: Place | None = None
    timeout: float | None = None

    def __init__(self, expected_content_length: int | None, max_content_length: int | None) -> None:
        super().__init__(expected_content_length, max_content_length)
        self._length = bounds.BODIES if expected_content_length is None else expected_content_length

    def __await__(self) -> Generator[Any, None, Any]:
        if self._must_raise is None and not self._complete.is_set():
            yield from self._arrive().__await__()
        return (yield from super().__await__())

    async def _arrive(self) -> None:
        """What is slow to arrive keeps no other request waiting. Waiting for others is not in its time."""
        gave_back = self.place is not None and self.place.give_back()
        try:
            async with asyncio.timeout(self.timeout):
                await self._complete.wait()
        except TimeoutError:
            raise RequestTimeout from None
        if gave_back:
            await self._take_place_again()

    async def _take_place_again(self) -> None:
        assert self.place is not None
        with suppress(Busy):
            if await self.place.take():
                return
        raise Overloaded(retry_after=bounds.COME_AGAIN)

    def append(self, data: bytes) -> None:
        beyond = len(self._data) + len(data) - bounds.BODY_FREE - self.taken
        if self.bodies is not None and self._must_raise is None and beyond > 0:
            coming = max(beyond, self._length - bounds.BODY_FREE - self.taken)
            if not self.bodies.take(self.address, beyond, coming):
                self._must_raise = Overloaded(retry_after=5)
                self._data.clear()
                self.set_complete()
                return
            self.taken += beyond
        self.parts += bool(data)
        if self.parts > bounds.BODY_PARTS and self._must_raise is None:
            self._must_raise = RequestEntityTooLarge()
            self.set_complete()
        super().append(data)
        if self._must_raise is not None:
            self._data.clear()  # it will not be read, though the response may take a while

    def release(self) -> None:
        if self._must_raise is not None:
            self._must_raise.__traceback__ = None  # whose frames hold this body
        if self.bodies is not None and self.taken:
            self.bodies.give_back(self.address, self.taken)
            self.taken = 0


class FormParser(FormDataParser):
    """The one type of form that our pages send; any other is an empty form."""

    async def parse_counted(self, body: Any, *_: Any) -> Any:
        data = await body
        body.clear()  # its fields are enough for as long as the request takes
        if data.count(b"&") >= bounds.FIELDS:
            raise RequestEntityTooLarge
        fields = parse_qsl(data.decode(), keep_blank_values=True)
        if sum(sys.getsizeof(value) for field in fields for value in field) > bounds.FORM:
            raise RequestEntityTooLarge  # an emoji in each field makes each of its characters four bytes
        return MultiDict(fields), MultiDict()

    parse_functions = {FORM: parse_counted}  # type: ignore[dict-item]  # noqa: RUF012


class BoundedRequest(Request):
    """For `app.request_class`."""

    body_class = CountedBody
    form_data_parser_class = FormParser

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        body: Any = self.body
        body.timeout, self.body_timeout = self.body_timeout, None  # Quart's would count the wait for others
        scope: Any = self.scope
        if (bodies := scope.get("chat.bodies")) is not None:
            body.bodies, body.address = bodies
            body.place = scope.get("chat.place")
            scope["chat.ended"] += [body.release, self._forget_form]

    def _forget_form(self) -> None:
        """Timers and callbacks that were made during a request hold it for as long as they live."""
        self._form = self._files = None

    def has_other_body(self) -> bool:
        """Whether a body comes that no form of ours sends."""
        comes = bool(self.content_length) or "Transfer-Encoding" in self.headers
        return comes and self.mimetype != FORM
