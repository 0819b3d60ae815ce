"""One composition, three media: plain text, HTML, tagged PDF (PDF/UA-1).

What an applicant wrote reaches each medium as data: the PDF's program reads JSON strings, the HTML
template escapes every value, plain text has one visible line per value. The same letter gives the
same bytes: nothing asks for the time, the system's fonts or the network.
"""

import json
import re
import textwrap
import threading
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from lendsafe import __version__
from lendsafe.errors import ConfigError, DataError, LendSafeError
from lendsafe.notice.compose import long_date
from lendsafe.notice.letter import Block, Letter
from lendsafe.notice.templates import templates_sha256

WIDTH = 78
_LONGEST_WORD = 40
_MOST_PAGES = 2
_own = threading.local()  # a compiler serves one call at a time


def render_text(letter: Letter) -> str:
    """Plain text, wrapped at 78 columns, headings underlined."""
    parts = []
    for section in letter.sections:
        if section.heading:
            parts.append(f"{section.heading}\n{'-' * len(section.heading)}")
        parts += [_text_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def render_html(letter: Letter) -> str:
    """A page of HTML that stands alone: no script, nothing loaded, every value escaped."""
    return str(_html_template().render(letter=letter, generator=_generator()))


def render_pdf(letter: Letter) -> bytes:
    """A tagged PDF (PDF/UA-1), the same bytes for the same letter.

    Title and language are set; the metadata name versions and hashes and no person.

    Raises:
        DataError: If a character is in none of the embedded fonts (Latin, Greek, Cyrillic, Hebrew
            and Arabic are there); text and HTML can show it.
    """
    import typst

    data = json.dumps(_data(letter), ensure_ascii=False)
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
    told = f"The PDF's fonts lack the character {codes}"
    if keys := [key for key, text in letter.case.config.texts() if set(text) & set(lacking)]:
        return ConfigError(f"{told}, which stands in the lender's file: {', '.join(sorted(set(keys)))}.")
    return DataError(f"{told}. Spell name and address in Latin letters, or send the letter as HTML.")


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
                f"risk model {case.assessment.risk_model}",
            )
        ),
        "keywords": [
            _generator(),
            f"templates sha256:{templates_sha256()}",
            f"input sha256:{letter.input_sha256}",
        ],
        "footer": letter.title,
        "own_bar": _own_bar(letter),
        "sections": [_breakable(asdict(section)) for section in letter.sections],
    }


def _own_bar(letter: Letter) -> str:
    score, source = letter.case.score, letter.case.config.score
    bars = source.distribution if source else ()
    return next(
        (f"{bar.low}–{bar.high}" for bar in bars if score is not None and bar.low <= score <= bar.high), ""
    )


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
