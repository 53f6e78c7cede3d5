"""The key and the database are nobody else's: made private with a word, or refused in one line."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from chat.private import require_private
from chat.settings import Misconfigured, Settings
from chat.store.sqlite.file import opened
from chat.visitors import secret_for


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666, 0o660, 0o620, 0o601])
def test_a_file_that_others_can_reach_is_taken_from_them(
    mode: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chat.key"
    path.write_text("a secret of sixteen or more")
    path.chmod(mode)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/chat.db")
    assert secret_for(settings) == "a secret of sixteen or more"
    assert _mode(path) == 0o600
    (line,) = caplog.messages
    assert line == f"made-private file={path} mode={mode:04o}: other users could read it"
    caplog.clear()
    secret_for(settings)
    assert caplog.messages == []


def test_the_database_and_what_belongs_to_it_are_made_private(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "chat.db"
    held = opened(str(path))
    files = [path, tmp_path / "chat.db-wal", tmp_path / "chat.db-shm"]
    for file in files:
        file.chmod(0o664)
    opened(str(path)).close()
    assert [_mode(file) for file in files] == [0o600] * 3
    assert len([line for line in caplog.messages if line.startswith("made-private")]) == 3
    held.close()


@pytest.mark.parametrize("name", ["chat.key", "chat.db", "chat.db-wal", "chat.db-shm"])
def test_a_file_of_another_user_is_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    path.write_text("a secret of sixteen or more")
    path.chmod(0o600)
    monkeypatch.setattr("chat.private.os.geteuid", lambda: path.stat().st_uid + 1)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/chat.db")
    with pytest.raises(Misconfigured) as refused:
        secret_for(settings) if name == "chat.key" else opened(str(tmp_path / "chat.db"))
    said = str(refused.value)
    assert said.startswith("CHAT_SECRET_KEY" if name == "chat.key" else "CHAT_DATABASE_URL")
    assert f"{path} belongs to another user" in said
    assert "chown" in said
    assert "\n" not in said


def test_a_file_system_that_keeps_nothing_private_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chat.db"
    path.touch(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("chat.private.os.chmod", refuse)
    with pytest.raises(Misconfigured, match=r"other users can read .*chmod 600"):
        require_private(str(path), "CHAT_DATABASE_URL")


def test_what_does_not_exist_is_private(tmp_path: Path) -> None:
    require_private(str(tmp_path / "nothing"), "CHAT_DATABASE_URL")
