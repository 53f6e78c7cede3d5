"""Two nodes behind a proxy are replaced one after the other while everybody talks."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nginx import Nginx
from postgres import Postgres

from chat.live.connection import RESTART

from .checker import Tally
from .crowd import READERS, SENDERS, gathered
from .place import deployed


async def test_a_rolling_deploy_is_missed_by_nobody_and_doubles_nothing(
    tmp_path: Path, postgres: Postgres, tally: Tally, rounds: int
) -> None:
    async with deployed(tmp_path, postgres, CHAT_TRUSTED_PROXIES="127.0.0.1") as place:
        (tmp_path / "nginx").mkdir()
        with Nginx(tmp_path / "nginx", place.ports) as nginx:
            ways = [[nginx.port]] * (SENDERS + READERS)
            async with gathered(place, tally, ways) as crowd:
                for _ in range(rounds):
                    crowd.talk()
                    for n in range(len(place.nodes)):
                        await crowd.talk_for(0.5, 1.5)
                        place.nodes[n].terminate()
                        assert await asyncio.to_thread(place.nodes[n].wait) == 0
                        await place.start_node(n)
                        await crowd.until(lambda: all(tab.open for tab in crowd.tabs), 15, "all are back")
                    await crowd.rest()
                assert {code for tab in crowd.tabs for code in tab.codes} == {RESTART}
                assert all(len(tab.codes) <= 2 * rounds for tab in crowd.tabs)
                assert sum(len(tab.codes) for tab in crowd.tabs) >= len(crowd.tabs) * rounds
                assert await crowd.told() == (len(crowd.tabs), 0)
