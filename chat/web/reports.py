"""What a page is shown when something that it sent could not be done."""

from __future__ import annotations

from chat import logs
from chat.context import Context
from chat.live.connection import LATER, POLICY, Close, Connection
from chat.model.errors import Refused
from chat.store import NotFound, OutcomeUnknown, Unavailable
from chat.web.sending import ComeBack, ask_to_come_back


def report(chat: Context, connection: Connection, error: Exception) -> None:
    """Tell the page. A fault of ours is logged, and never ends the connection by itself."""
    match error:
        case Refused():
            _alert(chat, connection, error.text)
        case ComeBack():
            ask_to_come_back(chat, connection, error)
        case Unavailable() | OutcomeUnknown():
            # Coming back, the page says again what it has and what it has not seen acknowledged.
            if not chat.hub.health.outage:
                chat.metrics.refusals.labels("frame").inc()
                connection.show("outage", chat.render.alerts.outage("write", connection.look))
            connection.close(Close(LATER))
        case NotFound():
            connection.close(Close(POLICY, "You are not in this room any more.", over=True))
        case _:
            logs.log.error("frame-failed room=%s", chat.codes.logged(connection.member.code), exc_info=error)
            _alert(chat, connection, "Something went wrong. Please reload the page.")


def _alert(chat: Context, connection: Connection, text: str) -> None:
    chat.metrics.refusals.labels("frame").inc()
    connection.answer("alert", chat.render.alerts.notice(text, connection.look))
