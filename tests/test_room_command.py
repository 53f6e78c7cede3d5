"""An operator finds the room of a line in the log, and the lines of a room, while the chat is running."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import ON_BOTH
from people import Person
from serving import REPO

from chat.context import Context
from chat.model.codes import grouped
from chat.settings import Settings
from chat.visitors import secret_for

COMMAND = [sys.executable, "-m", "quart", "--app", "chat.app:create_app()", "room"]


async def _run(settings: Settings, room: str, secret: str = "") -> subprocess.CompletedProcess[str]:
    named = {"CHAT_DATABASE_URL": settings.database_url, "CHAT_SECRET_KEY": secret or settings.secret_key}
    env = os.environ | {name: value for name, value in named.items() if value}
    return await asyncio.to_thread(
        subprocess.run, [*COMMAND, room], cwd=REPO, capture_output=True, text=True, env=env
    )


@ON_BOTH
async def test_a_room_is_found_by_its_code_and_by_its_id(alice: Person, chat: Context, code: str) -> None:
    id = chat.codes.logged(code)
    for asked in (code, grouped(code).lower(), id):
        found = await _run(chat.settings, asked)
        assert (found.stdout, found.stderr) == (f"{id} {grouped(code)}\n", "")


@pytest.mark.parametrize(
    ("asked", "reason"), [("2222-2222-2222", "no code of this chat"), ("0123456789ab", "No room has the id")]
)
async def test_what_leads_to_no_room_is_refused(chat: Context, asked: str, reason: str) -> None:
    found = await _run(chat.settings, asked)
    assert (found.returncode, found.stdout) == (1, "")
    assert reason in found.stderr


async def test_with_another_key_no_wrong_id_is_printed(chat: Context, code: str) -> None:
    found = await _run(chat.settings, code, "another secret, also long enough")
    assert (found.returncode, found.stdout) == (1, "")
    assert "is the key another?" in found.stderr


async def test_no_key_and_no_database_is_made(tmp_path: Path) -> None:
    settings = Settings(f"sqlite:///{tmp_path}/chat.db")
    found = await _run(settings, "2222-2222-2222")
    assert found.returncode == 1
    assert "CHAT_SECRET_KEY is not set and" in found.stderr
    assert list(tmp_path.iterdir()) == []
    secret_for(settings)
    assert "cannot be read" in (await _run(settings, "0123456789ab")).stderr
    assert [path.name for path in tmp_path.iterdir()] == ["chat.key"]
