"""Settings: what the environment may say, and what is said when it is wrong."""

from __future__ import annotations

import dataclasses
import stat
from ipaddress import ip_network
from pathlib import Path

import pytest

from chat.app import create_app
from chat.cluster.parts import bus_for
from chat.live.bus import LocalBus
from chat.settings import Misconfigured, Settings
from chat.store import store_for
from chat.store.sqlite.store import SQLiteStore
from chat.visitors import secret_for


def test_nothing_has_to_be_set() -> None:
    assert Settings.from_env({}) == Settings(
        database_url="sqlite:///chat.db", redis_url="", secret_key="", rate_limit=True, trusted_proxies=()
    )


def test_every_setting_is_read_from_its_variable() -> None:
    settings = Settings.from_env(
        {
            "CHAT_DATABASE_URL": "sqlite:////var/lib/chat/chat.db",
            "CHAT_REDIS_URL": "redis://a:1, rediss://b:2/0",
            "CHAT_SECRET_KEY": "sixteen letters!",
            "CHAT_EDIT_HOURS": " 48",
            "CHAT_RATE_LIMIT": "off",
            "CHAT_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8,::1",
        }
    )
    assert settings.database_url == "sqlite:////var/lib/chat/chat.db"
    assert settings.redis_url == "redis://a:1,rediss://b:2/0"
    assert settings.secret_key == "sixteen letters!"
    assert settings.edit_hours == 48
    assert settings.rate_limit is False
    assert settings.trusted_proxies == (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("::1"))


@pytest.mark.parametrize(
    ("text", "value"), [("on", True), ("1", True), ("YES", True), ("Off", False), ("false", False)]
)
def test_a_switch_understands_the_usual_words(text: str, value: bool) -> None:
    assert Settings.from_env({"CHAT_RATE_LIMIT": text}).rate_limit is value


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CHAT_EDIT_HOURS", ""),
        ("CHAT_EDIT_HOURS", "-1"),
        ("CHAT_EDIT_HOURS", "1.5"),
        ("CHAT_EDIT_HOURS", "9" * 7),
        ("CHAT_RATE_LIMIT", "maybe"),
        ("CHAT_RATE_LIMIT", ""),
        ("CHAT_SECRET_KEY", "short"),
        ("CHAT_REDIS_URL", "localhost:6379"),
        ("CHAT_REDIS_URL", "redis://a:1,http://b"),
        ("CHAT_TRUSTED_PROXIES", "my-proxy"),
        ("CHAT_TRUSTED_PROXIES", "10.0.0.0/99"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_setting(variable: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=variable):
        Settings.from_env({variable: value})


def test_every_setting_is_documented() -> None:
    for field in dataclasses.fields(Settings):
        assert field.metadata.get("doc"), f"{field.name} has no doc"


def test_the_secret_is_not_shown_with_the_other_settings() -> None:
    assert "sixteen" not in repr(Settings(secret_key="sixteen letters!"))


def test_the_database_url_chooses_the_store(tmp_path: Path) -> None:
    assert isinstance(store_for(f"sqlite:///{tmp_path}/chat.db"), SQLiteStore)
    with pytest.raises(Misconfigured, match="CHAT_DATABASE_URL"):
        store_for("oracle://db")
    with pytest.raises(Misconfigured) as refused:
        store_for("chat:hush@host/db")
    assert "hush" not in str(refused.value)
    assert isinstance(bus_for(None), LocalBus)


def test_making_the_app_opens_nothing(tmp_path: Path) -> None:
    create_app(Settings(database_url=f"sqlite:///{tmp_path}/chat.db"))
    assert list(tmp_path.iterdir()) == []


# The secret -------------------------------------------------------------------------------------------


def _beside(folder: Path) -> Settings:
    return Settings(database_url=f"sqlite:///{folder}/chat.db")


def test_a_set_secret_is_used_as_it_is(tmp_path: Path) -> None:
    assert secret_for(Settings(secret_key="sixteen letters!")) == "sixteen letters!"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_and_kept_for_its_owner_only(tmp_path: Path) -> None:
    secret = secret_for(_beside(tmp_path))
    assert len(secret) >= 32
    assert secret_for(_beside(tmp_path)) == secret
    (kept,) = tmp_path.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert secret in kept.read_text()


def test_two_databases_have_two_secrets(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert secret_for(_beside(tmp_path)) != secret_for(_beside(tmp_path / "other"))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="CHAT_SECRET_KEY is not set"):
        secret_for(_beside(tmp_path / "missing"))


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff" * 40])
def test_a_kept_secret_that_is_none_is_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chat.key").write_bytes(content)
    with pytest.raises(Misconfigured, match="CHAT_SECRET_KEY"):
        secret_for(_beside(tmp_path))
