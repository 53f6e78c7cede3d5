"""Whole pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from markupsafe import Markup

from chat.model.members import Member
from chat.model.receipts import write_life
from chat.model.rooms import Room
from chat.views.engine import Engine
from chat.views.forms import Draft, Form
from chat.views.ignored import Ignored
from chat.views.look import Look
from chat.views.message_fragments import joined
from chat.views.message_view import MessageView
from chat.views.messages import Shown
from chat.views.people import People, own_style_url
from chat.views.reader import Reader
from chat.views.room_pages import RoomPages, RoomView
from chat.views.rooms import Rooms, name_of
from chat.views.stream_lines import StreamLines
from chat.views.unread import NewLine, NewLines, stream_query, with_slot


class Pages:
    def __init__(self, engine: Engine, people: People, rooms: Rooms, ignored: Ignored) -> None:
        self._render = engine.render
        self._page = engine.page
        self._style = engine.style
        self._people = people
        self._rooms = rooms
        self._ignored = ignored
        self._room_pages = RoomPages(self._room)
        self._new_lines = NewLines(engine)

    def leave(self, room: Room, reader: Reader) -> str:
        """Does a member mean to leave for good?"""
        return self._page("leave/page.html", reader, room=room, name=name_of(room))

    def invitation(self, room: Room, here: int | None, form: Form, reader: Reader, origin: str = "") -> str:
        """`here` is how many people are in the room, None if that is not known.

        `origin` is that of the address it was asked for by.
        """
        values = {"room": room, "name": name_of(room), "here": here, "form": form}
        return self._page("join.html", reader, origin=origin, **values)

    def already_here(self, member: Member, name: str, reader: Reader) -> str:
        """What is meant by another name, typed by somebody who has a seat in the room?"""
        return self._page("already_here.html", reader, member=member, name=name)

    def room(self, view: RoomView, reader: Reader) -> str:
        member, draft, look, values = view.member, view.draft, reader.look, self._values(view, reader)
        if view.is_usual:
            return self._room_pages.page(member, view.shown, look, view.past, values)
        return self._room(
            look,
            member=member,
            page=view.shown.page,
            past=view.past,
            draft=draft.text,
            acked=draft.acked,
            life=write_life(draft.key, draft.acked) if draft.posted else "",
            many_lines=view.many_lines or "\n" in draft.text,
            error=view.error,
            quoted=draft.quoted,
            saved=draft.version,
            others=view.others,
            offered=view.offered,
            kept=view.kept,
            **values,
        )

    def _values(self, view: RoomView, reader: Reader) -> Mapping[str, object]:
        member, look, new = view.member, reader.look, view.new
        return {
            "style": self._style(reader) + self._ignored.link(member.ignored, look),
            "page_look": look.token,
            "me": Markup(self._render("room/_me.html", look, member=member)),  # noqa: S704
            "own_style": own_style_url(view.seats),
            "messages": joined(self._new_lines.put_into(view.shown, new, member.code, look)),
            "new_head": self._new_lines.head(new, look),
            "new_trigger": self._new_lines.trigger(new, member.code, look),
            "stream": f"/rooms/{member.code}/stream{stream_query(new)}",
            "roster": Markup(self._people.roster_of_page(view.people, view.frozen, look, view.away)),  # noqa: S704
            "count": len(view.people),
            "heading": self._rooms.heading(view.room, look),
            "name": name_of(view.room),
            "link": view.link,
            "link_quoted": quote(view.link, safe=""),
            "key": view.draft.key,
        }

    def _room(self, look: Look, **values: object) -> str:
        return self._render("room.html", look, spare=0, **values)

    def message(self, view: MessageView, reader: Reader) -> str:
        before, after = (Markup("\n".join(part)) for part in view.around[:2])  # noqa: S704
        return self._page(
            "message.html",
            reader,
            code=view.member.code,
            name=name_of(view.room),
            own_style=own_style_url(view.seats),
            ignored=self._ignored.link(view.member.ignored, reader.look),
            is_ignored=view.is_ignored,
            message=view.message,
            link=view.link,
            earlier=view.earlier,
            reacted=view.reacted,
            is_unread=view.is_unread,
            own=view.seats,
            before=before,
            after=after,
            first=view.around.first,
            last=view.around.last,
            key=view.key,
            forms=view.forms,
            failed=view.failed,
            failure=view.failure,
            fields=view.fields,
            drafts=view.drafts,
            live=False,
        )

    def error(
        self,
        status: int,
        title: str,
        text: str,
        reader: Reader,
        kept: Draft | None = None,
        code: str = "",
        form: Form | None = None,
        is_alert: bool = True,
    ) -> str:
        """`kept` is what was typed and could not be taken.

        `code` is of the room that the page leads to, `form` the one that asks for another code.
        """
        values = {"title": title, "text": text, "kept": kept, "code": code, "form": form}
        return self._page("error.html", reader, status=status, is_alert=is_alert, **values)

    def stream_start(
        self,
        member: Member,
        seats: Sequence[int],
        shown: Shown,
        lines: StreamLines,
        reader: Reader,
        new: NewLine | None = None,
    ) -> str:
        """The first part of the live page without JavaScript; messages follow as they come."""
        messages = Markup("".join(lines.of(zip(shown.page.messages, shown.fragments, strict=True))))  # noqa: S704
        return self._page(
            "stream.html",
            reader,
            page=shown.page,
            messages=messages + self._new_lines.slotted(new, member.code, reader.look),  # once all are there
            new_head=self._new_lines.head(new, reader.look),
            own_style=own_style_url(seats),
            ignored=self._ignored.link(member.ignored, reader.look),
            code=member.code,
            new=new,
            places=with_slot(lines.places, shown.page, new),
        )
