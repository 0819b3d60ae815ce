"""One composition, three media: plain text, HTML, tagged PDF (PDF/UA-1).

What an applicant wrote reaches each medium as data: the PDF's program reads JSON strings, the HTML
template escapes every value, plain text has one visible line per value. The same letter gives the
same bytes: nothing asks for the time, the system's fonts or the network.
"""

import base64
import json
import re
import textwrap
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from lendsafe import __version__
from lendsafe.errors import ConfigError, DataError, LendSafeError
from lendsafe.notice.case import long_date
from lendsafe.notice.config import Image
from lendsafe.notice.letter import Block, Letter
from lendsafe.notice.templates import templates_sha256

WIDTH = 78
_LONGEST_WORD = 40
_TYPST_KINDS = {"png": "png", "jpeg": "jpg"}
_MOST_PAGES = 2
_own = threading.local()  # a compiler serves one call at a time
# Scripts whose letters join, move or stack: the fonts have some of them, and no rules to set them by
_UNSHAPED = frozenset(
    (
        *(
            "DEVANAGARI",
            "BENGALI",
            "GURMUKHI",
            "GUJARATI",
            "ORIYA",
            "TAMIL",
            "TELUGU",
            "KANNADA",
            "MALAYALAM",
        ),
        *("SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "MONGOLIAN", "SYRIAC", "THAANA", "NKO"),
        *("BALINESE", "JAVANESE", "SUNDANESE", "TAI", "CHAM", "LEPCHA", "LIMBU", "BUGINESE", "TAGALOG"),
    )
)


def render_text(letter: Letter) -> str:
    """Plain text, wrapped at 78 columns, headings underlined."""
    parts = []
    for section in letter.pages:
        if section.heading:
            parts.append(f"{section.heading}\n{'-' * len(section.heading)}")
        parts += [_text_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def render_html(letter: Letter) -> str:
    """A page of HTML that stands alone: no script, nothing loaded, every value escaped."""
    config = letter.case.config
    pictures = {"logo": _data_url(config.logo), "signature": _data_url(config.signature)}
    return str(
        _html_template().render(letter=letter, generator=_generator(), config=config, pictures=pictures)
    )


def render_pdf(letter: Letter) -> bytes:
    """A tagged PDF (PDF/UA-1), the same bytes for the same letter.

    Title and language are set; the metadata name versions and hashes and no person.

    Raises:
        DataError: If a character is in none of the embedded fonts, or of a script that they do not shape
            (Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian and Georgian they do); text and HTML can show it.
        ConfigError: If it stands in the lender's file.
    """
    import typst

    plain = _data(letter)
    data = json.dumps(plain, ensure_ascii=False)
    if unshaped := sorted({one for one in data if not one.isascii() and _script(one) in _UNSHAPED}):
        raise _lacking(letter, unshaped, f"cannot shape {_script(unshaped[0]).capitalize()}")
    try:
        compiled = _compiled(data, close="no")
        if _pages(compiled) > _MOST_PAGES:
            compiled = _compiled(data, close="yes")
    except typst.TypstError as problem:  # its message quotes the text, and the text may be a name
        raise _refusal(letter, problem.message) from None
    return compiled


def _refusal(letter: Letter, said: str) -> LendSafeError:
    """Why no PDF can be made, without the text that it cannot be made of."""
    if "could not be displayed" not in said:
        return LendSafeError(f"No PDF could be made of the letter of input {letter.input_sha256}.")
    quoted = said.split('`"')[1].split('"`')[0]
    lacking = sorted(set(re.sub(r"\\u\{([0-9a-f]+)\}", lambda found: chr(int(found[1], 16)), quoted)))
    codes = ", ".join(f"U+{ord(char):04X}" for char in lacking[:3])
    return _lacking(letter, lacking, f"lack the character {codes} ({_script(lacking[0]).capitalize()})")


def _lacking(letter: Letter, characters: Sequence[str], what: str) -> LendSafeError:
    if keys := [key for key, text in letter.case.config.texts() if set(text) & set(characters)]:
        return ConfigError(
            f"The PDF's fonts {what}, which stands in the lender's file: {', '.join(sorted(set(keys)))}."
        )
    return DataError(
        f"The PDF's fonts {what}. Spell name and address in Latin letters, or send the letter as HTML."
    )


def _script(char: str) -> str:
    """The script that a character belongs to, as the first word of its Unicode name."""
    return unicodedata.name(char, "unnamed").split()[0]


def _text_block(block: Block) -> str:
    lines = textwrap.wrap(block.text, WIDTH)
    width = max((len(label) for label, _ in block.rows), default=0) + 2
    for label, value in block.rows:
        if block.shape == "bars":
            value += " " * (6 - len(value)) + "#" * round(float(value.rstrip("%")))
        lines += textwrap.wrap(
            f"{label + ':':<{width}}{value}", WIDTH, initial_indent="  ", subsequent_indent=" " * (width + 2)
        )
    for number, item in enumerate(block.items, start=1):
        if block.shape == "numbered":
            lines += textwrap.wrap(item, WIDTH, initial_indent=f"  {number}. ", subsequent_indent="     ")
        elif block.shape == "lines":
            lines += textwrap.wrap(item, WIDTH, initial_indent="  ", subsequent_indent="    ")
        else:
            lines += [*([""] if number > 1 else []), *textwrap.wrap(item, WIDTH)]
    return "\n".join(lines)


@cache
def _html_template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string((files("lendsafe.notice") / "letter.html.j2").read_text("utf-8"))


def _compiled(data: str, *, close: str) -> bytes:
    found = _compiler().compile(
        _program(), format="pdf", pdf_standards="ua-1", sys_inputs={"letter": data, "close": close}
    )
    assert isinstance(found, bytes)
    return found


def _pages(pdf: bytes) -> int:
    """Number of pages; typst leaves the objects that name them uncompressed."""
    return len(re.findall(rb"/Type/Page\b", pdf))


def _compiler() -> Any:
    import typst

    if not hasattr(_own, "compiler"):
        _own.compiler = typst.Compiler(ignore_system_fonts=True)
    return _own.compiler


@cache
def _program() -> bytes:
    return (files("lendsafe.notice") / "letter.typ").read_bytes()


def _data(letter: Letter) -> dict[str, Any]:
    case = letter.case
    return {
        "title": letter.title,
        "language": letter.language,
        "creditor": case.config.creditor.name,
        "date": long_date(case.dates.notice),
        "description": "; ".join(
            (
                f"Templates {templates_sha256()}",
                f"input {letter.input_sha256}",
                f"risk model {case.grounds.method}",
            )
        ),
        "keywords": [
            _generator(),
            f"templates sha256:{templates_sha256()}",
            f"input sha256:{letter.input_sha256}",
        ],
        "footer": letter.title,
        "own_bars": _own_bars(letter),
        "logo": _image(case.config.logo),
        "signature": _image(case.config.signature),
        "sections": [_breakable(asdict(section)) for section in letter.pages],
    }


def _own_bars(letter: Letter) -> list[str]:
    """By number of a distribution, the bar that the person's own score lies in."""
    there = [(one.score.value, one.source.distribution) for one in letter.case.scores]
    return [
        next((f"{bar.low}–{bar.high}" for bar in bars if bar.low <= value <= bar.high), "")
        for value, bars in there
        if value is not None and bars
    ]


def _image(image: Image | None) -> dict[str, Any] | None:
    return {"data": list(image.data), "kind": _TYPST_KINDS[image.kind], "alt": image.alt} if image else None


def _data_url(image: Image | None) -> str:
    return f"data:image/{image.kind};base64,{base64.b64encode(image.data).decode()}" if image else ""


def _breakable(value: Any) -> Any:
    """Let a word that is longer than a line break, so that it cannot leave the page."""
    if isinstance(value, str):
        return " ".join(
            "\u200b".join(textwrap.wrap(word, _LONGEST_WORD)) if len(word) > _LONGEST_WORD else word
            for word in value.split(" ")
        )
    if isinstance(value, dict):
        return {key: _breakable(inner) for key, inner in value.items()}
    return [_breakable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _generator() -> str:
    return f"LendSafe {__version__}"
