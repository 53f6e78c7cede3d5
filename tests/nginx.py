"""A real nginx before several nodes, as an unprivileged user would run it, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from serving import free_port

CONFIG = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
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
}}
"""


class Nginx:
    """A node that refuses a connection is passed over. Use it as a context manager."""

    def __init__(self, folder: Path, nodes: Sequence[int]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        servers = (f"        server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;" for port in nodes)
        (folder / "nginx.conf").write_text(CONFIG.format(port=self.port, servers="\n".join(servers)))

    def __enter__(self) -> Self:
        where = ["-p", str(self._folder), "-c", "nginx.conf", "-e", "stderr"]
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen([_program(), *where], stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 15
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "log").read_text()
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
    path = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        missing = "needs nginx: apt-get install nginx"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path
