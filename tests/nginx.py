"""A real nginx before several nodes, as an unprivileged user would run it, for tests."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from serving import REPO, free_port, needed
from tls import certified

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
ADDRESS = "chat.example.com"
PAGE = (REPO / "docs" / "cluster.md").read_text("utf-8")


class Nginx:
    """As a document has it, on free ports before nodes of ours. Use it as a context manager."""

    def __init__(
        self, folder: Path, nodes: Sequence[int], document: str = PAGE, encrypted: bool = False
    ) -> None:
        self.port = free_port()
        self.url = f"http{'s' if encrypted else ''}://127.0.0.1:{self.port}"
        self.folder = folder
        self._command = [_program(), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        (block,) = re.findall(r"^```nginx\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)
        block = self._encrypted(block) if encrypted else _plain(block)
        (folder / "nginx.conf").write_text(CONFIG.format(http=self._here(block, nodes)))

    def _encrypted(self, block: str) -> str:
        certified(self.folder, f"DNS:{ADDRESS}")
        return block.replace(f"/etc/letsencrypt/live/{ADDRESS}", str(self.folder))

    def _here(self, block: str, nodes: Sequence[int]) -> str:
        block = block.replace("listen 443", f"listen 127.0.0.1:{self.port}")
        block = block.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
        block = block.replace("/var/log/nginx/", f"{self.folder}/")
        block = block.replace("127.0.0.1:8000", "10.0.0.11:8000")  # the README's, of one process
        for address, node in zip(("10.0.0.11:8000", "10.0.0.12:8000"), nodes, strict=True):
            block = block.replace(address, f"127.0.0.1:{node}")
        return block

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


def _plain(block: str) -> str:
    """Without TLS, which not everybody speaks whom we send there."""
    return re.sub(r"^ +ssl_.*\n", "", block.replace(" ssl http2", ""), flags=re.MULTILINE)


def _program() -> str:
    """Its path, which ordinary users lack. Skips the test where there is none, unless CI is set."""
    return needed(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")
