"""Start the real server, measure it and say whether the targets are met.

Needs the packages of the extra `test`, in the interpreter of --python those of `bench` and `cluster`; from h
on PostgreSQL and Redis as well. Ratios travel from machine to machine, figures do not.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from . import attacks, before, cluster, crowds, echo, elsewhere, formats, looks, parts, searches, talk, visits
from .parts import Row
from .servers import Options

PARTS = {
    **parts.PARTS,
    **talk.PARTS,
    **looks.PARTS,
    **echo.PARTS,
    **crowds.PARTS,
    **elsewhere.PARTS,
    **visits.PARTS,
    **formats.PARTS,
    **searches.PARTS,
    **cluster.PARTS,
    **attacks.PARTS,
    **before.PARTS,
}
LONGEST = {"o": 240, "r": 240, "s": 600, "x": 1200, "z": 1200}  # s of one part; something hangs
USUAL = 120
COLUMNS = "{:<58} {:>12} {:>12} {:>7} {:>8} {:>5}  {}"


def main() -> None:
    options, chosen = _arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    version = subprocess.check_output([options.python, "-V"], text=True).strip()
    print(f"{version}, worker class {options.worker_class}, {platform.machine()}")
    print(COLUMNS.format("measure", "value", "baseline", "ratio", "target", "met", ""))
    start = time.perf_counter()
    for part in chosen:
        try:
            for row in uvloop.run(_bounded(PARTS[part](options), LONGEST.get(part, USUAL))):
                print(_line(row), flush=True)
        except (TimeoutError, OSError) as error:
            print(f"{part} FAILED: {str(error) or f'not done in {LONGEST.get(part, USUAL)} s'}", flush=True)
        except pytest.skip.Exception as missing:
            print(f"{part} SKIPPED: {missing}", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


async def _bounded(part: Coroutine[None, None, list[Row]], longest: float) -> list[Row]:
    async with asyncio.timeout(longest):
        return await part


def _arguments() -> tuple[Options, list[str]]:
    about = "\n".join([__doc__ or "", *(f"  {part.__doc__}" for part in PARTS.values())])
    plain = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser("python -m tests.bench", description=about, formatter_class=plain)
    parser.add_argument("parts", nargs="*", help="which of them; all by default")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter: to see that it works")
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="runs the servers")
    parser.add_argument("--worker-class", choices=("asyncio", "uvloop"), default="asyncio")
    parser.add_argument("--folder", type=Path, help="for the databases; a disk's, not one in memory")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="keep py-spy's stacks there")
    parser.add_argument("--tree", type=Path, help="an older checkout, with which r, x and z compare this one")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    options = Options(given.python.absolute(), given.worker_class, given.quick, given.folder, given.profile)
    if given.tree:
        options = replace(options, tree=given.tree.absolute())
    return options, given.parts or list(PARTS)


def _line(row: Row) -> str:
    bounds = (("≥", row.least), ("≤", row.most))
    target = " ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
    met = {True: "yes", False: "NO", None: ""}[row.met]
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    base = _figure(row.baseline, row.unit) if row.baseline is not None else ""
    value = _figure(row.value, row.unit)
    return COLUMNS.format(row.measure, value, base, ratio, target, met, row.remark).rstrip()


def _figure(value: float, unit: str) -> str:
    digits = 0 if value >= 100 or value == int(value) else 2
    return f"{value:,.{digits}f} {unit}".strip()


if __name__ == "__main__":
    main()
