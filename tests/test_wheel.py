"""The chat installed from a wheel needs nothing of the checkout: it runs from an empty directory."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener
from zipfile import ZipFile

import pytest
from serving import REPO, Server


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source archive, so that this is complete, too."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=REPO)
    (archive,) = folder.glob("*.tar.gz")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", archive, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin/ of a new environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def server(programs: Path, empty: Path) -> Iterator[Server]:
    with Server(config=None, cwd=empty, program=programs / "hypercorn") as server:
        yield server


def test_the_wheel_has_every_template_and_static_file(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    for place, folders in (REPO, ("templates", "static")), (REPO / "chat", ("locales",)):
        files = [path for folder in folders for path in (place / folder).rglob("*") if path.is_file()]
        assert files
        assert {f"chat/{path.relative_to(place).as_posix()}" for path in files} <= names


def test_the_installed_package_is_the_one_that_runs(programs: Path, empty: Path) -> None:
    place = Path(run(programs / "python", "-c", "import chat; print(chat.__file__)", cwd=empty).strip())
    assert place.is_relative_to(programs.parent)
    assert "site-packages" in place.parts


def test_a_room_opens_and_every_file_it_links_is_there(server: Server, empty: Path) -> None:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    assert "Create a Room" in get(browser, f"{server.url}/")
    room = get(browser, f"{server.url}/", urlencode({"name": "Ann", "create": "1"}).encode())
    assert 'id="composer"' in room
    links = set(re.findall(r'(?:href|src|hx-get)="(/(?:static|seats)/[^"]+)"', room))
    assert {"chat.css", "htmx.min.js", "hx-ws.min.js"} <= {link.rpartition("/")[2] for link in links}
    for link in links:
        assert get(browser, server.url + link), link
    assert (empty / "chat.db").is_file()


def get(browser: OpenerDirector, url: str, data: bytes | None = None) -> str:
    with browser.open(url, data, timeout=10) as response:
        return str(response.read().decode(errors="replace"))


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout
