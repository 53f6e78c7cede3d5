"""A real Caddy before a server of ours, with the README's lines, for tests."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from nginx import ADDRESS
from serving import REPO, free_port, needed
from tls import certified

README = (REPO / "README.md").read_text("utf-8")
ONLY_HERE = "{\n    admin off\n    auto_https disable_redirects\n"


class Caddy:
    """On a free port, with a certificate of its own instead of one from the internet. A context manager."""

    def __init__(self, folder: Path, node: int, patience: str = "20s") -> None:
        """`patience` is how long a request waits for the chat."""
        self.port, self.folder = free_port(), folder
        certificate, key = certified(folder, f"DNS:{ADDRESS}")
        (block,) = re.findall(r"^```caddy\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
        block = (
            block.replace("{\n", ONLY_HERE, 1)
            .replace("127.0.0.1:8000", f"127.0.0.1:{node}")
            .replace("20s", patience)
        )
        site = f"https://{ADDRESS}:{self.port} {{\n    bind 127.0.0.1\n    tls {certificate} {key}\n"
        (folder / "Caddyfile").write_text(block.replace(f"{ADDRESS} {{\n", site))
        program = needed(shutil.which("caddy"), "caddy")
        self._command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def __enter__(self) -> Self:
        env = os.environ | {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=log, env=env)
        deadline = time.monotonic() + 15
        while not self._listens():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, "Caddy does not listen"
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
