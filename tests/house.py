"""How long functions and files are: `python -m tests.house` prints it; test_house.py sets the limits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

REPO = Path(__file__).parents[1]
SOURCES = sorted((REPO / "chat").rglob("*.py"))


@dataclass(frozen=True, slots=True, order=True)
class Size:
    lines: int
    name: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Sizes of one kind, in lines."""

    sizes: list[Size]

    @property
    def median(self) -> float:
        return median(size.lines for size in self.sizes)

    @property
    def p90(self) -> float:
        return quantiles((size.lines for size in self.sizes), n=10)[-1]

    @property
    def longest(self) -> list[Size]:
        return sorted(self.sizes, reverse=True)


def functions() -> Summary:
    """Lines from the first to the last of a body, its docstring included."""
    return Summary([size for path in SOURCES for size in _functions(path)])


def _functions(path: Path) -> Iterator[Size]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[0].lineno
            yield Size((node.end_lineno or start) - start + 1, f"{path.relative_to(REPO)}: {node.name}")


def files() -> Summary:
    """Lines of each module, empty ones included."""
    return Summary(
        [Size(len(path.read_text("utf-8").splitlines()), str(path.relative_to(REPO))) for path in SOURCES]
    )


def main() -> None:
    for kind, summary in (("functions", functions()), ("files", files())):
        longest = summary.longest
        print(
            f"{kind}: {len(longest)}, median {summary.median:g}, p90 {summary.p90:g}, "
            f"longest {longest[0].lines} lines"
        )
        for size in longest[:10]:
            print(f"  {size.lines:4} {size.name}")


if __name__ == "__main__":
    main()
