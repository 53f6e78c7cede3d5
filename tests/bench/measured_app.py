"""The chat that says, when it gets SIGUSR2, how many objects its garbage collector looks at."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections import Counter

from quart import Quart

from chat import app


def create_app() -> Quart:
    measured = app.create_app()

    @measured.before_serving
    async def count_when_asked() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, _count)

    return measured


def _count() -> None:
    gc.collect()
    objects = gc.get_objects()
    print(f"objects={len(objects)}", flush=True)
    if os.environ.get("OBJECT_TYPES"):
        kinds = Counter(type(one).__qualname__ for one in objects)
        print("types=" + " ".join(f"{kind}:{count}" for kind, count in kinds.most_common(60)), flush=True)
