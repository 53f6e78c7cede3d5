"""Files that only the server's user may read: the key and the database."""

from __future__ import annotations

import os
import stat

from chat import logs
from chat.settings import Misconfigured

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def require_private(path: str, setting: str) -> None:
    """Take a file from the reach of other users; nothing if it does not exist. Raises Misconfigured."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{setting}: {path} belongs to another user (uid {found.st_uid}, the server runs as "
            f"{os.geteuid()}), who could read and change it. Run the server as that user, or chown the file "
            "to its own."
        )
    mode = stat.S_IMODE(found.st_mode)
    if not mode & OTHERS:
        return
    try:
        os.chmod(path, mode & ~OTHERS)
    except OSError as error:
        raise Misconfigured(
            f"{setting}: other users can read {path} (mode {mode:04o}), and that cannot be changed "
            f"({error.strerror}). Use a file system that keeps files private: chmod 600."
        ) from None
    logs.log.warning("made-private file=%s mode=%04o: other users could read it", path, mode)
