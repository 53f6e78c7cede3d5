"""install(): wraps the methods of Hypercorn that need a bound, each in a guard of this package."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from hypercorn.config import Config

from chat.server import bounds

Guard = Callable[..., Any]
GUARDS: list[tuple[Any, str, Guard]] = []


def install() -> None:
    """Set the bounds for this process; a second call changes nothing. Raises if Hypercorn is another."""
    for owner, name, guard in GUARDS:
        original = getattr(owner, name, None)
        if original is None:
            raise RuntimeError(
                f"Hypercorn {version('hypercorn')} has no {owner.__name__}.{name}, which chat/server wraps"
            )
        if not hasattr(original, "is_guarded"):
            setattr(owner, name, _guarded(original, guard))
    for name, value in bounds.DEFAULTS.items():
        setattr(Config, name, value)


def _guarded(original: Guard, guard: Guard) -> Guard:
    def call(*args: Any, **kwargs: Any) -> Any:
        return guard(original, *args, **kwargs)

    call.is_guarded = True  # type: ignore[attr-defined]
    return call


def around(owner: Any, name: str) -> Callable[[Guard], Guard]:
    """Have the decorated function called in place of `owner.name`, which it gets as its first argument."""

    def register(guard: Guard) -> Guard:
        GUARDS.append((owner, name, guard))
        return guard

    return register
