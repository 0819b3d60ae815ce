"""The sentences of a letter: versioned, each with the citation it serves and a pinned hash.

They live in ``blocks/*.toml``. Text that was changed without a new hash is refused, so nobody edits
a sentence that the law asks for by accident.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from lendsafe.errors import DataError, RefusedError

Shape = Literal["text", "lines", "numbered", "table", "bars"]
_SLOT = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One block of a letter before its facts are filled in.

    Attributes:
        id: Key, such as ``ecoa_notice``.
        version: Counts up whenever the text changes.
        citation: The provision that it serves.
        text: Sentences with ``{slots}``; empty where a block is nothing but its items.
        law: The law's own wording where ours is another by number or case, to be compared with the law of the day;
            empty where the text is the law's or ours alone.
        shape: How items that follow the text are set.
        sha256: Hexadecimal SHA-256 of ``text``.
    """

    id: str
    version: int
    citation: str
    text: str
    law: str = ""
    shape: Shape = "text"
    sha256: str


@cache
def templates() -> dict[str, Template]:
    """Every template by id.

    Raises:
        RefusedError: If a text is not the one that its hash was taken of.
    """
    found = {}
    for file in sorted((files("lendsafe.notice") / "blocks").iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            for name, table in tomllib.loads(file.read_text("utf-8")).items():
                found[name] = _checked(name, table)
    return found


@cache
def templates_sha256() -> str:
    """One hash over all templates, for the metadata of a letter."""
    lines = (f"{t.id}@{t.version} {t.sha256}\n" for t in templates().values())
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def fill(text: str, values: Mapping[str, str]) -> str:
    """Fill the slots of a template in one pass: braces in a value stay what they are.

    Raises:
        DataError: If a slot has no value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise DataError(f"The letter needs '{match[1]}', and it is not known.")
        return values[match[1]]

    return _SLOT.sub(value, text)


def _checked(name: str, table: dict[str, Any]) -> Template:
    template = Template(id=name, **table)
    actual = hashlib.sha256(template.text.encode()).hexdigest()
    if actual != template.sha256:
        raise RefusedError(
            f"The text of notice block '{name}' (version {template.version}) was changed: SHA-256 is {actual}. "
            "Restore it, or count its version up and pin the new hash."
        )
    return template
