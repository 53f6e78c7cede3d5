"""The only place that names templates: one typed function per page and per fragment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chat.model.codes import grouped
from chat.model.errors import Outage
from chat.model.marks import unlabelled
from chat.model.members import Member
from chat.model.messages import BODY_FIELD, Message
from chat.model.receipts import write_life
from chat.views.assets import Assets
from chat.views.links import linked
from chat.views.look import LOOK, Look
from chat.views.messages import Shown
from chat.views.plain_messages import PlainMessages
from chat.views.room_pages import RoomPages
from chat.views.stencils import Stencil
from chat.views.stream_lines import StreamLines
from chat.views.times import clock, day, iso, isoday

PALETTE = 12  # colours in chat.css
SEATS = 100  # seats of one person that their stylesheet knows
ROSTER = 100  # people listed; the others are counted
WIDE = re.compile("[\U00010000-\U0010ffff]")
NOTHING: Mapping[str, str] = MappingProxyType({})

# Fragments that a page has to put in without a server.
INLINE = {
    "line": "_next_line",
    "lines": "_lines",
    "online": "_online",
    "offline": "_offline",
    "pasted": "_pasted",
}

OWN = """\
.m[data-by="SEAT"]{--side:end;--first:2;--second:1;--bubble:var(--own);--left:var(--round);--right:.35rem}
@media screen{.m[data-by="SEAT"] .by :is(bdi,sup){position:absolute;clip-path:inset(50%)}}
body:has([data-by="SEAT"] .by>:checked) #pal:valid .own{display:inline-block}
.reacts [data-r~="SEAT"]{display:none}
.mine [data-r~="SEAT"]{display:inline-block}
#roster [data-by="SEAT"] bdi::after{content:" (you)"}
"""


@dataclass(frozen=True, slots=True)
class Form:
    """What was typed and what is wrong with it, by field."""

    values: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def focus(self) -> str:
        """The field to put the cursor in: the first one at fault."""
        return next(iter(self.errors), "name")


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wrote and has yet to send: under which key, and how much of that was stored before."""

    code: str  # of the room, empty if it cannot be sent to any
    bodies: Sequence[str] = ("",)
    key: str = ""
    acked: int = 0
    posted: bool = False  # by the ordinary form; it may have been stored

    @property
    def text(self) -> str:
        return "\n".join(self.bodies)


class Renderer:
    def __init__(self, folder: Path, assets: Assets) -> None:
        self._assets = assets
        self._env = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._env.globals.update(asset=assets.url)
        self._env.filters.update(
            grouped=grouped,
            linked=linked,
            iso=iso,
            clock=clock,
            day=day,
            isoday=isoday,
            colour=colour,
            unlabelled=unlabelled,
        )
        # A macro: called once per message, it is twice as fast as an included template.
        self._shape = self._env.get_template("room/_message.html").module.shape  # type: ignore[attr-defined]
        self._env.globals.update(shape=self._shape, field=BODY_FIELD)
        self._env.globals.update(
            inline={
                name: _data_url(self._fragment(f"room/{file}.html", draft=None).strip())
                for name, file in INLINE.items()
            }
        )
        self._room_pages = RoomPages(self._room)
        self._beat = self._fragment("room/replace_beat.html")
        self._plain = PlainMessages(lambda code, message: str(self._shape(code, message)), colour)
        self._acknowledged = self._stencil("room/acknowledge.html", controls=10**9 + 1, acked=10**9 + 2)
        taken = {"life": "\ufdd0", "count": 10**9 + 1, "acked": 10**9 + 2, "rest": 10**9 + 3}
        self._taken = self._stencil("room/take_controls.html", **taken, next=10**9 + 4)

    # Pages --------------------------------------------------------------------------------------------

    def home(self, form: Form, known: bool = False) -> str:
        """`known` says that the browser has a cookie of ours."""
        return self._page("home.html", form=form, known=known)

    def invitation(self, code: str, form: Form) -> str:
        return self._page("join.html", code=code, form=form)

    def already_here(self, member: Member, name: str) -> str:
        """What is meant by another name, typed by somebody who has a seat in the room?"""
        return self._page("already_here.html", member=member, name=name)

    def room(
        self,
        member: Member,
        seats: Sequence[int],
        shown: Shown,
        people: Sequence[Member],
        link: str,
        draft: Draft,
        *,
        many_lines: bool = False,
        error: str = "",
        older: bool = False,
        frozen: bool = False,
    ) -> str:
        """The room as one member sees it; `older` is a page of the past, without the live end.

        `frozen` says that `people` may be out of date.
        """
        roster = self._fragment("room/_roster.html", **self._roster(_with(people, member), frozen))
        values: dict[str, Any] = {
            "seats": _dotted(seats),
            "messages": _lines(shown),
            "roster": Markup(roster),  # noqa: S704
            "link": link,
            "key": draft.key,
            "older": older,
        }
        if not (error or many_lines or draft.text or draft.acked or draft.posted):
            return self._room_pages.page(member, shown, **values)
        return self._room(
            member=member,
            page=shown.page,
            draft=draft.text,
            acked=draft.acked,
            life=write_life(draft.key, draft.acked) if draft.posted else "",
            many_lines=many_lines or "\n" in draft.text,
            error=error,
            **values,
        )

    def _room(self, **values: object) -> str:
        return self._page("room.html", spare=0, **values)

    def message_page(
        self,
        member: Member,
        seats: Sequence[int],
        message: Message,
        context: tuple[Sequence[str], Sequence[str]],
        forms: Sequence[str],
        failed: str = "",
        failure: object = None,
        fields: Mapping[str, str] = NOTHING,
    ) -> str:
        """A message among those around it, with what this member can do to it.

        `failure` is why what they asked for by the form `failed` and with these fields was not done.
        """
        before, after = (Markup("\n".join(part)) for part in context)  # noqa: S704
        return self._page(
            "message.html",
            code=member.code,
            seats=_dotted(seats),
            message=message,
            own=seats,
            before=before,
            after=after,
            forms=forms,
            failed=failed,
            failure=failure,
            fields=fields,
            live=False,
        )

    def error(self, status: int, title: str, text: str, kept: Draft | None = None) -> str:
        """`kept` is what was typed and could not be taken."""
        return self._page("error.html", status=status, title=title, text=text, kept=kept)

    def stream_start(self, code: str, seats: Sequence[int], shown: Shown, lines: StreamLines) -> str:
        """The first part of the live page without JavaScript; messages follow as they come."""
        messages = Markup("".join(lines.of(zip(shown.page.messages, shown.fragments, strict=True))))  # noqa: S704
        return self._page(
            "stream.html",
            page=shown.page,
            messages=messages,
            seats=_dotted(seats),
            code=code,
            places=lines.places,
        )

    # Fragments: the very shapes that the pages include ------------------------------------------------

    def message(self, code: str, message: Message, look: Look = LOOK) -> str:
        return self._plain.message(code, message) or str(self._shape(code, message))

    def amended(self, code: str, message: Message, look: Look = LOOK) -> str:
        return self._fragment("room/amend_message.html", code=code, message=message)

    def extras(self, code: str, message: Message, look: Look = LOOK) -> str:
        """What features show below a message whose text is the same as before."""
        return self._fragment("reactions/replace_row.html", code=code, message=message, own=None)

    def newest(self, code: str, shown: Shown, look: Look = LOOK) -> str:
        return self._fragment(
            "room/replace_messages.html", code=code, page=shown.page, messages=_lines(shown)
        )

    def earlier(self, code: str, shown: Shown) -> str:
        messages = Markup("".join(shown.fragments))  # noqa: S704
        return self._fragment("room/insert_earlier.html", code=code, page=shown.page, messages=messages)

    def roster(self, people: Sequence[Member], frozen: bool = False) -> str:
        return self._fragment("room/replace_roster.html", **self._roster(people, frozen))

    def outage(self, outage: Outage) -> str:
        """What is out of order, beside the composer until it is said to be over."""
        return self._fragment("room/replace_trouble.html", trouble=outage)

    def stream_outage(self, outage: Outage) -> str:
        """The same as a line of the live page without JavaScript, which nothing can take away."""
        return self._fragment("room/_trouble_line.html", trouble=outage)

    def acknowledged(self, controls: int, acked: int) -> str:
        """Remove that many sent controls from the composer; `acked` are done since the page was loaded."""
        return self._acknowledged.fill({"controls": controls, "acked": acked})

    def taken(self, life: str, counts: Sequence[int], acked: int) -> str:
        """The same for a page that is at one of `counts`, once it has a control besides those."""
        fill = self._taken.fill
        return "".join(
            fill({"life": life, "count": n, "rest": acked - n, "next": acked - n + 1, "acked": acked})
            for n in counts
        )

    def life(self, key: str) -> str:
        """For a page that has none yet."""
        return self._fragment("room/begin_life.html", key=key)

    def send_pending(self) -> str:
        return self._fragment("room/send_pending.html")

    def refused(self, code: str, id: str, key: str, place: int, body: str, reason: str) -> str:
        """A text that comes back; unchanged it is the same one, for the first may be stored after all."""
        html = self._fragment(
            "room/append_refused.html", code=code, id=id, key=key, place=place, body=body, reason=reason
        )
        # One emoji would make each character of it four bytes for as long as it waits.
        return WIDE.sub(lambda match: f"&#{ord(match[0])};", html)

    def sent_again(self, id: str) -> str:
        return self._fragment("room/delete_refused.html", id=id)

    def notice(self, text: str) -> str:
        return self._fragment("room/replace_notice.html", text=text)

    def form(
        self, code: str, template: str, message: Message, failure: object, fields: Mapping[str, str]
    ) -> str:
        """The form of an action above the composer, perhaps with what was typed and why it was not done."""
        return self._fragment(
            "actions/show_form.html",
            code=code,
            form=template,
            message=message,
            failure=failure,
            fields=fields,
            live=True,
        )

    def form_done(self, id: int, stays: bool = True) -> str:
        """The form of an action to this message goes. The message takes the focus if it stays."""
        return self._fragment("actions/form_done.html", id=id, stays=stays)

    def farewell(self, code: str, reason: str, over: bool = False) -> str:
        """`over` says that the seat ended: nothing of the conversation stays on the page."""
        return self._fragment("room/farewell.html", code=code, reason=reason, over=over)

    def heartbeat(self) -> str:
        return self._beat

    def composer_text(self, draft: str, many_lines: bool, code: str, spare: int) -> str:
        """A field of the other kind; `spare` is the number of the one that the page has ready."""
        # The field takes the focus before the button, which has it, is replaced: it moves only once.
        placements = ("fill_spare", "switch_text", "replace_spare")
        values = {"draft": draft, "many_lines": many_lines, "code": code, "spare": spare}
        return "".join(self._fragment(f"room/{name}.html", **values) for name in placements)

    def own_style(self, seats: Iterable[int]) -> str:
        """The stylesheet that makes a member's own messages look so; everybody's HTML is the same."""
        return "".join(OWN.replace("SEAT", str(seat)) for seat in seats)

    # --------------------------------------------------------------------------------------------------

    def _page(self, template: str, **values: object) -> str:
        return self._env.get_template(template).render(**values)

    def _fragment(self, template: str, **values: object) -> str:
        return self._env.get_template(template).render(**values)

    def _stencil(self, template: str, **values: object) -> Stencil:
        return Stencil(self._fragment(template, **values), values)

    def _roster(self, people: Sequence[Member], frozen: bool) -> dict[str, object]:
        return {"people": people[:ROSTER], "count": len(people), "frozen": frozen}


def _data_url(fragment: str) -> str:
    """A fragment as an address that needs no network; htmx fetches it like any other."""
    return "data:text/html;charset=utf-8," + quote(fragment, safe=" =/:;,.-_()!*")


def _with(people: Sequence[Member], member: Member) -> list[Member]:
    """The people here and the one who is just coming in."""
    if any(m.number == member.number for m in people):
        return list(people)
    return sorted([*people, member], key=lambda m: m.number)


def _dotted(seats: Sequence[int]) -> str:
    return ".".join(map(str, seats[-SEATS:]))


def _lines(shown: Shown) -> Markup:
    """The messages of a page, which were rendered before."""
    return Markup("\n\n".join([*shown.fragments, ""]))  # noqa: S704


def colour(seat: int) -> int:
    return seat % PALETTE
