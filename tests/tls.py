"""Certificates for tests over TLS: each vouches for itself."""

from __future__ import annotations

import subprocess
from pathlib import Path


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of `name`, as openssl writes it ("IP:127.0.0.1", "DNS:chat.example.com"), and its key."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={name.partition(':')[2]}", "-addext", f"subjectAltName={name}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *kind, *names, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate, key
