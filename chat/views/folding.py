"""Long texts show their first lines; the others unfold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chat.model.inline import Token

LONG = 25  # lines of a text that is shown whole
SHOWN = 15  # lines of a longer one that are shown at first
LINES = {"item", "quote", "fence"}  # begin on a line of their own, and so does what is behind them


def is_long(body: str) -> bool:
    return body.count("\n") >= LONG


def fold(tokens: Sequence[Token]) -> tuple[list[Token], int]:
    """The same with what follows the first lines in a fold, and how many lines that is about."""
    numbered = list(_numbered(tokens))
    head, rest = _split(numbered)
    if not rest:
        return head, 0
    inside = _open_at_end(head)
    closing = [Token("close", token.text) for token in reversed(inside)]
    folded = [*head, *closing, Token("open", "fold"), *inside, *rest, Token("close", "fold")]
    last = max(line + token.text.count("\n") for line, token in numbered if _is_shown(token))
    return folded, last + 1 - SHOWN


def _is_shown(token: Token) -> bool:
    return token.type not in ("open", "close")


def _numbered(tokens: Iterable[Token]) -> Iterator[tuple[int, Token]]:
    """Each with the line on which it begins."""
    line, is_written = 0, False
    for token in tokens:
        if token.text in LINES and not _is_shown(token) and is_written:
            line, is_written = line + 1, False
        yield line, token
        if _is_shown(token):
            line += token.text.count("\n")
            is_written = True


def _split(numbered: Sequence[tuple[int, Token]]) -> tuple[list[Token], list[Token]]:
    """Where the first line begins that is not shown at first."""
    tokens = [token for _, token in numbered]
    for place, (line, token) in enumerate(numbered):
        if line >= SHOWN and token.type != "close":
            while place and tokens[place - 1].type == "open":
                place -= 1  # nothing empty is left at the end
            return tokens[:place], tokens[place:]
        if _is_shown(token) and line + token.text.count("\n") >= SHOWN:
            head, rest = _cut(token, SHOWN - line)
            return [*tokens[:place], head], [rest, *tokens[place + 1 :]]
    return tokens, []


def _cut(token: Token, lines: int) -> tuple[Token, Token]:
    head = "\n".join(token.text.split("\n", lines)[:lines])
    return token._replace(text=head), token._replace(text=token.text[len(head) + 1 :])


def _open_at_end(tokens: Iterable[Token]) -> list[Token]:
    inside: list[Token] = []
    for token in tokens:
        if token.type == "open":
            inside.append(token)
        elif token.type == "close":
            inside.pop()
    return inside
