"""Who is here, and how people know their own messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chat.model.members import Member
from chat.views.assets import version_of
from chat.views.engine import Engine
from chat.views.look import Look

SEATS = 100  # seats of one person that their stylesheet knows
ROSTER = 100  # people listed; the others are counted
NOBODY: tuple[Sequence[Member], int] = (), 0

OWN = """\
.m:where(:has(.at:is([data-at="SEAT"],[data-at="0"]))){--bubble:var(--hey)}
.at[data-at="SEAT"]::after{content:"" / var(--you," (you)")}
.m[data-by="SEAT"]{--side:end;--bubble:var(--own);--left:var(--round);--right:.3rem;--tile:none;\
--above-name:0;--lift:0;--above:.35rem;--dots:-2.3rem auto}
@media screen{.m[data-by="SEAT"] .by :is(bdi,sup){position:absolute;clip-path:inset(50%)}}
body:has([data-by="SEAT"] .by>:checked) #pal:valid .own{display:inline-block}
[data-r~="SEAT"][aria-pressed=false]{display:none}
[data-r~="SEAT"][aria-pressed=true]{display:inline-block}
#by-SEAT{order:-1}
#by-SEAT::after{content:var(--you," (you)")}
#by-SEAT button{visibility:hidden;pointer-events:none}
#by-SEAT bdi{visibility:visible}
"""
OWN_VERSION = version_of(OWN.encode())


class People:
    def __init__(self, engine: Engine) -> None:
        self._render = engine.render

    def roster(
        self, people: Sequence[Member], frozen: bool, look: Look, away: tuple[Sequence[Member], int] = NOBODY
    ) -> str:
        """The panel in place of the one before. `frozen` says that `people` may be out of date.

        `away` are some who are not here, and how many there are.
        """
        return self._roster(people, frozen, look, away, live=True)

    def roster_of_page(
        self, people: Sequence[Member], frozen: bool, look: Look, away: tuple[Sequence[Member], int] = NOBODY
    ) -> str:
        return self._roster(people, frozen, look, away, live=False)

    def _roster(
        self,
        people: Sequence[Member],
        frozen: bool,
        look: Look,
        away: tuple[Sequence[Member], int],
        live: bool,
    ) -> str:
        absent, missing = away
        code = next((one.code for one in (*people[:1], *absent[:1])), "")
        here = {"people": people[:ROSTER], "count": len(people), "frozen": frozen, "code": code}
        template = "room/replace_roster.html" if live else "room/_roster.html"
        return self._render(template, look, **here, away=absent, missing=missing, live=live)

    def typing(self, labels: Sequence[str], look: Look) -> str:
        """Who is typing, in place of who was."""
        return self._render("typing/replace.html", look, labels=labels)


def with_oneself(people: Sequence[Member], member: Member) -> Sequence[Member]:
    """The people here and the one who is just coming in."""
    if any(m.number == member.number for m in people):
        return people
    return sorted([*people, member], key=lambda m: m.number)


def own_style(seats: Iterable[int]) -> str:
    """The stylesheet that makes a member's own messages look so; everybody's HTML is the same."""
    return "".join(OWN.replace("SEAT", str(seat)) for seat in seats)


def own_style_url(seats: Sequence[int]) -> str:
    """The address of that stylesheet. It holds the version of the rules: browsers keep it for ever."""
    return f"/seats/{OWN_VERSION}/{'.'.join(map(str, seats[-SEATS:]))}.css"
