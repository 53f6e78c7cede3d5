"""A real nginx before several nodes, as an unprivileged user would run it, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from serving import free_port, needed

CONFIG = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    default_type application/octet-stream;
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
}}
"""
HTTP = """\
map $http_upgrade $connection_upgrade {{
    default upgrade;
    ''      close;
}}
upstream chat {{
{servers}
}}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://chat;
        proxy_http_version 1.1;
        proxy_connect_timeout 2s;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
    }}
}}
"""


def before(port: int, nodes: Sequence[int]) -> str:
    """What the http block holds: a node that refuses a connection is passed over."""
    servers = (f"    server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;" for node in nodes)
    return HTTP.format(port=port, servers="\n".join(servers))


class Nginx:
    """Use it as a context manager. `http` writes the http block for a port and nodes."""

    def __init__(
        self, folder: Path, nodes: Sequence[int], http: Callable[[int, Sequence[int]], str] = before
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._command = [_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        (folder / "nginx.conf").write_text(CONFIG.format(http=http(self.port, nodes)))

    def refusal(self) -> str:
        """Why it would not take its file; nothing if it would."""
        ended = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False)
        return ended.stderr if ended.returncode else ""

    def __enter__(self) -> Self:
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 15
        while not self._listens():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.01)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _program() -> str:
    """Its path, which ordinary users lack. Skips the test where there is none, unless CI is set."""
    return needed(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")
