"""The sound of a mention, made from two tones: `python -m tests.sound` writes static/mention.wav."""

from __future__ import annotations

import io
import math
import wave
from pathlib import Path

RATE = 11025  # samples a second, of 8 bits: all that two soft tones need
TONES = (880.0, 0.0), (1318.5, 0.09)  # Hz, and s after which each begins
LENGTH = 0.4  # s
FILE = Path(__file__).parents[1] / "static" / "mention.wav"


def level(at: float) -> float:
    """From -1 to 1: each tone begins within 5 ms, and fades."""
    begun = [(tone, at - start) for tone, start in TONES if at >= start]
    sound = sum(
        math.sin(math.tau * tone * since) * min(1.0, since / 0.005) * math.exp(-since * 12)
        for tone, since in begun
    )
    return 0.4 * sound * min(1.0, (LENGTH - at) / 0.05)


def made() -> bytes:
    samples = bytes(round(128 + 127 * level(n / RATE)) for n in range(int(RATE * LENGTH)))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(RATE)
        sound.writeframes(samples)
    return file.getvalue()


if __name__ == "__main__":
    FILE.write_bytes(made())
