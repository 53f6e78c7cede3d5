"""What every handler works with, made once by the app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chat.limits import Limits, OwnLimits
from chat.live.drafts import Drafts
from chat.live.goodbyes import Goodbyes
from chat.live.hub import Hub
from chat.live.ignoring import Ignoring
from chat.live.presence import Presence
from chat.live.reading import Reading
from chat.live.sounds import Sounds
from chat.live.typing import Typing
from chat.live.unread import UnreadTitles
from chat.live.unread_marks import UnreadMarks
from chat.logs import Repeats
from chat.metrics import Metrics
from chat.model.codes import Codes
from chat.settings import Settings
from chat.store import Store
from chat.store.clock import ClockWatch
from chat.store.quota import Quota
from chat.store.write_probe import WriteProbe
from chat.turns import Turns
from chat.views.assets import Assets
from chat.views.renderer import Renderer
from chat.visitors import Identities

if TYPE_CHECKING:
    from chat.cluster.connection import Redis


SEARCHES = 2  # at the same time: others wait, so that they never take all readers of the store
WAITING = 20  # searches, each of another person


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    identities: Identities
    codes: Codes
    store: Store
    hub: Hub
    presence: Presence
    reading: Reading
    drafts: Drafts
    typing: Typing
    unread_titles: UnreadTitles
    unread_marks: UnreadMarks
    ignoring: Ignoring
    sounds: Sounds
    limits: Limits
    metrics: Metrics
    render: Renderer
    assets: Assets
    own_limits: OwnLimits  # of what costs this process alone
    quota: Quota
    write_probe: WriteProbe
    clock: ClockWatch
    redis: Redis | None = None
    repeats: Repeats = field(default_factory=Repeats)
    goodbyes: Goodbyes = field(default_factory=Goodbyes)
    searching: Turns = field(default_factory=lambda: Turns(SEARCHES, WAITING))
