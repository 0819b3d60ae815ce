"""Where in a TOML text a key stands: ``tomllib`` does not say, and a message should."""

import re

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(?:\.|$)""")
_KEY = re.compile(r"""^\s*((?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_.-]+|\s*\.\s*)+?)\s*=""")


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line, from 1, of the deepest part of a dotted path that the text has; 0 if it has none of it.

    Args:
        text: TOML.
        path: Keys from the top; of a list of tables, the number of the entry, from 0.
    """
    best, deepest = 0, 0
    table: tuple[str, ...] = ()
    counts: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, str(counts[table]))
            found = table
        elif key := _KEY.match(line):
            found = (*table, *_parts(key[1]))
        else:
            continue
        shared = _shared(found, path)
        if shared > deepest and (shared == len(found) or shared == len(path)):
            best, deepest = number, shared
            if shared == len(path):
                break
    return best


def _parts(text: str) -> tuple[str, ...]:
    return tuple(match[1] or match[2] or match[3] or "" for match in _PART.finditer(text))


def _shared(found: tuple[str, ...], path: tuple[str, ...]) -> int:
    count = 0
    for a, b in zip(found, path, strict=False):
        if a != b:
            break
        count += 1
    return count
