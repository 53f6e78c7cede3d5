"""What every handler works with, made once by the app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chat.assets import Assets
from chat.clock import ClockWatch
from chat.codes import Codes
from chat.goodbyes import Goodbyes
from chat.health import WriteProbe
from chat.hub import Hub
from chat.limits import Limits, OwnLimits
from chat.logs import Repeats
from chat.metrics import Metrics
from chat.presence import Presence
from chat.render import Render
from chat.settings import Settings
from chat.storage import Storage
from chat.store import Store
from chat.visitors import Identities

if TYPE_CHECKING:
    from chat.nodes import Redis


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    identities: Identities
    codes: Codes
    store: Store
    hub: Hub
    presence: Presence
    limits: Limits
    metrics: Metrics
    render: Render
    assets: Assets
    own_limits: OwnLimits  # of what costs this process alone
    repeats: Repeats
    storage: Storage
    write_probe: WriteProbe
    clock: ClockWatch
    goodbyes: Goodbyes
    redis: Redis | None = None
