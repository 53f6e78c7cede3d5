"""Everything a process works with: opened in order, or refused with a way to fix it, and closed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from chat.cluster.parts import bus_for, limits_for, redis_for, registry_for
from chat.context import Context
from chat.limits import OwnLimits
from chat.live import draft_offers, read_signs, unread_marks
from chat.live.bus import Bus, Others
from chat.live.connections import SOCKETS
from chat.live.draft_offers import DraftOffers
from chat.live.drafts import Drafts
from chat.live.elsewhere import Elsewhere
from chat.live.hub import Hub
from chat.live.ignoring import KIND as IGNORING
from chat.live.ignoring import Ignoring
from chat.live.new_lines import NewLines
from chat.live.presence import Presence
from chat.live.reading import Reading
from chat.live.registry import Listeners, PresenceRegistry
from chat.live.sounds import Sounds
from chat.live.titles_elsewhere import TitlesElsewhere
from chat.live.typing import KIND as TYPING
from chat.live.typing import Typing
from chat.live.unread import UnreadTitles
from chat.live.unread_marks import UnreadMarks
from chat.metrics import Metrics
from chat.model.changes import Change
from chat.model.codes import Codes
from chat.model.signs import Sign
from chat.settings import Misconfigured, Settings
from chat.store import NO_ROOM, Store, metadata, store_for
from chat.store.clock import ClockWatch
from chat.store.metadata import KEY
from chat.store.quota import Quota
from chat.store.write_probe import WriteProbe
from chat.views.assets import Assets, folder
from chat.views.renderer import Renderer
from chat.visitors import Identities, fingerprint, secret_for

if TYPE_CHECKING:
    from chat.cluster.connection import Redis


async def open_context(settings: Settings) -> Context:
    """Everything a handler works with, opened. Raises Misconfigured."""
    _refuse_redis_with_sqlite(settings)
    store = store_for(settings.database_url, exclusive=not settings.redis_url)
    if not settings.database_url.startswith("sqlite:"):
        secret_for(settings)  # missing, it is refused before the wait for a server
    await store.open()
    async with AsyncExitStack() as on_failure:
        on_failure.push_async_callback(store.close)
        secret = secret_for(settings)  # made once the place is known to be good
        await _agree_on_the_key(store, secret)
        redis = await redis_for(settings.redis_url, store)
        if redis is not None:
            on_failure.push_async_callback(redis.close)
        chat = _wired(settings, secret, store, redis)
        on_failure.pop_all()
        on_failure.push_async_callback(close_context, chat)
        await chat.presence.restore()
        await chat.quota.measure()
        on_failure.pop_all()
    return chat


def _refuse_redis_with_sqlite(settings: Settings) -> None:
    if settings.redis_url and settings.database_url.startswith("sqlite:"):
        raise Misconfigured(
            "CHAT_REDIS_URL is for several processes, which one SQLite file cannot serve: "
            "set CHAT_DATABASE_URL to a PostgreSQL database, or leave CHAT_REDIS_URL out."
        )


async def _agree_on_the_key(store: Store, secret: str) -> None:
    """With another key everybody would be a stranger, on this node or on the others."""
    ours = fingerprint(secret)
    if (first := await store.write(NO_ROOM, metadata.get_or_set, KEY, ours)) != ours:
        raise Misconfigured(
            f"CHAT_SECRET_KEY (fingerprint {ours}) is not the one that this database knows ({first}). "
            "Set the same on every node, or the former one again. A new one makes everybody a stranger; "
            "if that is meant, stop every node and run the command forget-key first."
        )


def _wired(settings: Settings, secret: str, store: Store, redis: Redis | None) -> Context:
    assets, metrics = Assets(folder("static")), Metrics()
    render = Renderer(folder("templates"), assets, settings.edit_hours > 0)
    bus, registry = bus_for(redis, metrics.hinted, metrics.interruptions.inc), registry_for(redis, SOCKETS)
    hub = _hub(store, bus, render, registry, metrics)
    reading, presence = Reading(store), Presence(store, hub, render.people.roster)
    sounds = Sounds(render.alerts.mention, reading.has_focus)
    titles = _titles(store, reading, bus, hub, render, sounds, metrics)
    missed = _missed(titles.elsewhere, hub)
    store.listen(_committed(metrics, reading, titles.elsewhere, hub), missed, metrics.unknown.inc)
    typing = Typing(bus, hub.feeds, render.people.typing, metrics.delivered)
    marks = UnreadMarks(reading, titles, bus, render.unread.focus)
    ignoring = Ignoring(store, bus, hub.feeds, render.ignored.show)
    drafts = _drafts(store, bus, titles, render)
    hear, others = _heard(typing, ignoring, titles, marks, drafts), _others(titles.elsewhere)
    bus.open(_received(typing, ignoring, sounds, marks, drafts, hub), missed, hear, others)
    registry.open(listeners(hub, presence))
    return Context(
        settings=settings,
        identities=Identities(secret),
        codes=Codes(secret),
        store=store,
        hub=hub,
        presence=presence,
        reading=reading,
        drafts=drafts,
        typing=typing,
        unread_titles=titles,
        unread_marks=marks,
        ignoring=ignoring,
        sounds=sounds,
        limits=limits_for(redis, settings.rate_limit),
        own_limits=OwnLimits(settings.rate_limit),
        metrics=metrics,
        render=render,
        assets=assets,
        quota=Quota(store, settings.max_bytes),
        write_probe=WriteProbe(store),
        clock=ClockWatch(store),
        redis=redis,
    )


def _hub(store: Store, bus: Bus, render: Renderer, registry: PresenceRegistry, metrics: Metrics) -> Hub:
    return Hub(
        store,
        bus,
        render,
        delivered=metrics.delivered,
        registry=registry,
        repaired=metrics.repairs.inc,
        title=render.rooms.title,
    )


def _titles(
    store: Store, reading: Reading, bus: Bus, hub: Hub, render: Renderer, sounds: Sounds, metrics: Metrics
) -> UnreadTitles:
    """What pages are told of what is unread, in their own room and in others."""
    shown = render.home.replaced_row, render.home.replaced_badge
    at_home = TitlesElsewhere(store, render.rooms.unread_at_home)
    elsewhere = Elsewhere(store, reading, *shown, at_home, sounds.sound_elsewhere)
    told = metrics.delivered
    lines = NewLines(render.unread.line, told)
    titles = UnreadTitles(store, reading, bus, hub.feeds, render.rooms.unread, elsewhere, lines, told)
    hub.titles.listen(titles.renamed)
    return titles


def _drafts(store: Store, bus: Bus, titles: UnreadTitles, render: Renderer) -> Drafts:
    begun = titles.elsewhere.begun
    return Drafts(store, DraftOffers(store, bus, titles.pages_of, begun, render.composer.others))


def _others(elsewhere: Elsewhere) -> Others:
    return Others(elsewhere.concerns, elsewhere.note)


def _committed(
    metrics: Metrics, reading: Reading, elsewhere: Elsewhere, hub: Hub
) -> Callable[[Sequence[Change]], None]:
    """What is done with what this node has stored."""

    def committed(changes: Sequence[Change]) -> None:
        metrics.often.messages += len(changes)
        reading.note_written(changes)
        elsewhere.note(change.code for change in changes)
        hub.committed(changes)

    return committed


def _heard(
    typing: Typing, ignoring: Ignoring, titles: UnreadTitles, marks: UnreadMarks, drafts: Drafts
) -> Callable[[Sign], None]:
    """What is done with what another node says of people in a room that somebody follows here."""
    hears: Mapping[str, Callable[[Sign], object]] = {
        TYPING: typing.note,
        IGNORING: lambda sign: ignoring.refresh(sign.code, sign.seat),
        read_signs.KIND: titles.hear,
        unread_marks.KIND: marks.hear,
        draft_offers.KIND: drafts.offers.hear,
    }

    def heard(sign: Sign) -> None:
        if hear := hears.get(sign.kind):
            hear(sign)

    return heard


def _missed(elsewhere: Elsewhere, hub: Hub) -> Callable[[], None]:
    """What happens when changes may have been missed."""

    def look() -> None:
        hub.on_gap()
        elsewhere.note_gap()

    return look


def _received(
    typing: Typing, ignoring: Ignoring, sounds: Sounds, marks: UnreadMarks, drafts: Drafts, hub: Hub
) -> Callable[[Sequence[Change]], None]:
    """What is done with what any node has stored in a room that somebody follows here."""
    heeds = typing.note_written, ignoring.note, sounds.note, marks.note, drafts.note_deleted, hub.receive

    def received(changes: Sequence[Change]) -> None:
        for heed in heeds:
            heed(changes)

    return received


def listeners(hub: Hub, presence: Presence) -> Listeners:
    """What the registry of the nodes calls."""
    return Listeners(presence.refresh, presence.recheck, hub.connections.evict, hub.health.announce)


async def close_context(chat: Context) -> None:
    await chat.reading.save()
    await chat.drafts.save()
    await chat.hub.registry.close()
    await chat.hub.bus.close()
    if chat.redis is not None:
        await chat.redis.close()
    await chat.store.close()
