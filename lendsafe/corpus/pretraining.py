"""Text from which a small base model learns the words of lending, but not the task of fine-tuning.

Prose alone, sentences for single factors, lists copied, sorted or turned into sentences, prose turned
back into lists, single values looked up, and data-to-text in many layouts, key names and instructions,
all of them other than ``lendsafe.prompts``. No document holds a prompt or a row of the fine-tuning set.

Lists to copy and values to look up come first and by themselves: a model this small that starts with
letters learns their words and never learns to look at the data (measured, ``LOG.md``).
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import get_args

from lendsafe import slots
from lendsafe.corpus.grammar import Voice, block_of, blocks, capitalized, narrative, opening
from lendsafe.corpus.scenarios import choose, random_assessment, shuffled
from lendsafe.corpus.wordings import Wording
from lendsafe.parts import Part
from lendsafe.parts import of as parts_of
from lendsafe.product import consumer
from lendsafe.records import Assessment, Detail, Message, Register, Strength, Style

Document = str | list[Message]

# Documents at the start, before all kinds: words to copy, then lists to copy and values to look up too.
COPIED_WORDS, COPIED = 9_000, 14_000

_SYSTEMS = (
    "You turn lending data into clear prose. Keep every name in braces as it is.",
    "Write about the loan decision from the data. Copy the fields in braces; add no figures.",
    "You are a careful writer at a lender. State the outcome, then each factor in its order.",
    "Data to text. Plain sentences, every factor once, nothing added.",
    "You help a lender to put its decisions into words.",
    "",
)
_TASKS = (
    "Write the letter.",
    "Turn this into a letter.",
    "Put this into words for the applicant.",
    "Describe the outcome and what led to it.",
    "Explain this to the person who applied.",
)
_DECISIONS = {
    "approved": ("approved", "yes", "granted", "approve"),
    "declined": ("declined", "no", "refused", "decline"),
}
_REGISTERS = {"plain": ("plain", "simple"), "formal": ("formal", "official"), "warm": ("warm", "friendly")}
_DETAILS = {"standard": ("standard", "short", "normal"), "detailed": ("detailed", "full", "long")}
_STRENGTHS = {"slight": ("slight", "low"), "moderate": ("moderate", "medium"), "strong": ("strong", "high")}
_SIDES = {"adverse": ("against", "minus"), "against": ("against", "minus"), "favorable": ("for", "plus")}
_KEYS = {
    "decision": ("outcome", "result", "verdict", "status"),
    "register": ("tone", "voice", "manner"),
    "detail": ("depth", "length", "level"),
    "amount": ("amount", "sum", "asked_for"),
    "purpose": ("use", "loan_for", "goal"),
    "factors": ("factors", "points", "items", "grounds"),
    "factor": ("factor", "point", "item", "what"),
    "strength": ("weight", "force", "size"),
    "facts": ("fact", "field", "shows", "data"),
    "side": ("side", "sign", "way"),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """The data of one task under names that this document uses.

    Attributes:
        head: Key and value of decision, tone, depth, amount and use, in any order.
        items: Key of the list, and one row of keys and values for each factor.
    """

    head: list[tuple[str, str]]
    items: tuple[str, list[dict[str, str]]]


def documents(seed: int) -> Iterator[Document]:
    """Endless pretraining documents; the same seed gives the same ones.

    Args:
        seed: Any number.

    Yields:
        Prose as text, or a conversation whose last message is the assistant's. Facts are slots.
    """
    rng = random.Random(seed)  # noqa: S311  # wordings, no secrets
    copying, all_kinds = (
        [maker for maker, share in shares for _ in range(share)] for shares in (_COPYING, _SHARES)
    )
    for number in count():
        makers = [_copied_words] if number < COPIED_WORDS else copying if number < COPIED else all_kinds
        yield makers[rng.randrange(len(makers))](rng)


# ---------------------------------------------------------------- prose and sentences


def _prose(rng: random.Random) -> Document:
    assessment, style = random_assessment(rng)
    return narrative(assessment, style, rng, wording=_wording(rng))


def _factor_prose(rng: random.Random) -> Document:
    assessment, style = random_assessment(rng)
    return _body(assessment, style, _voice(style, rng))


def _sentences_of_list(rng: random.Random) -> Document:
    """Factors in any order become sentences in that order."""
    assessment, style = random_assessment(rng)
    sheet = _sheet(assessment, style, rng)
    order = "in this order" if rng.random() < 0.5 else "in the order given"
    task = f"Write about these factors {order}, in a {style.register} tone, {_depth(style, rng)}."
    return _talk(rng, f"{task}\n{_rows(sheet, rng)}", _body(assessment, style, _voice(style, rng)))


def _sentence_of_factor(rng: random.Random) -> Document:
    """``factor -> sentence``, several in a row."""
    assessment, style = random_assessment(rng)
    voice, known = _voice(style, rng), set(slots.facts(assessment))
    arrow = choose((" -> ", " => ", "\n", " : "), rng)
    lines = []
    for part in _factors(assessment, style):
        block = block_of(assessment, part, voice, explain=style.detail == "detailed")
        name = _name(part, rng)
        shown = " ".join(_shown(part, known))
        key = ", ".join(
            filter(
                None, (name, choose(_STRENGTHS[part.strength], rng), choose(_SIDES[part.side], rng), shown)
            )
        )
        text = " ".join(filter(None, (capitalized(block.weight), block.fact, block.why)))
        lines.append(f"{key}, {style.register}{arrow}{text}")
    return "\n".join(lines)


def _one_sentence(rng: random.Random) -> Document:
    assessment, style = random_assessment(rng)
    voice, known = _voice(style, rng), set(slots.facts(assessment))
    part = choose(_factors(assessment, style), rng)
    block = block_of(assessment, part, voice, explain=style.detail == "detailed")
    asked = choose(("Word this factor", "Say this point", "Phrase this factor", "Word this point"), rng)
    name = [_name(part, rng), part.strength, choose(_SIDES[part.side], rng), *_shown(part, known)]
    text = " ".join(filter(None, (capitalized(block.weight), block.fact, block.why)))
    return _talk(rng, f"{asked} ({style.register}): {'; '.join(name)}", text)


def _opening(rng: random.Random) -> Document:
    assessment, style = random_assessment(rng)
    decision = choose(_DECISIONS[assessment.decision], rng)
    outcome = f"{choose(_KEYS['decision'], rng)} ({decision})"
    asked = f"State the {outcome} for {_amount()}, {_purpose(assessment)}, {style.register}."
    return _talk(rng, asked, opening(assessment, _voice(style, rng)))


# ---------------------------------------------------------------- copies


def _copied_words(rng: random.Random) -> Document:
    """Words and slots in a chance order, each once, and the same again: nothing to guess, all to look up."""
    words = shuffled(_WORDS, rng)[: 4 + rng.randrange(16)]
    between = choose((" ", ", ", "\n"), rng)
    asked = choose(("Repeat:", "Again:", "Copy:", "The same once more:"), rng)
    return [Message("user", f"{asked} {between.join(words)}"), Message("assistant", " ".join(words))]


def _copied_list(rng: random.Random) -> Document:
    """Rows of chance names, strengths and slots, written again in another layout."""
    rows = [
        [
            choose(_NAMES, rng),
            *([choose(("slight", "moderate", "strong"), rng)] if rng.random() < 0.5 else []),
            *([f"{{{choose(_SLOTS, rng)}}}"] if rng.random() < 0.6 else []),
        ]
        for _ in range(2 + rng.randrange(5))
    ]
    within, between = choose((", ", " / ", " "), rng), choose(("\n", "; ", "\n- "), rng)
    given = between.join(within.join(row) for row in rows)
    asked = choose(("Repeat this list:", "Write this list again:", "Copy:", "The same list once more:"), rng)
    within, between = choose((", ", " | "), rng), choose(("\n", "; "), rng)
    return _talk(rng, f"{asked}\n{given}", between.join(within.join(row) for row in rows))


def _looked_up(rng: random.Random) -> Document:
    """Data in a layout, and several of its values: by key, by what stands before, by place."""
    assessment, style = random_assessment(rng)
    sheet = _sheet(assessment, style, rng)
    shown = choose(_LAYOUTS, rng)(sheet, rng)
    key, rows = sheet.items
    names = [next(iter(row.values())) for row in rows]
    pairs = [
        *sheet.head,
        *((f"after {before}", after) for before, after in pairwise(names)),
        *((f"with {name}", ", ".join(list(row.values())[1:])) for name, row in zip(names, rows, strict=True)),
        (f"first of {key}", names[0]),
        (f"last of {key}", names[-1]),
        (key, "; ".join(names)),
    ]
    asked = shuffled(tuple(pairs), rng)[: 1 + rng.randrange(5)]
    question = "\n".join(f"{name}?" for name, _ in asked)
    return _talk(rng, f"{shown}\n\n{question}", "\n".join(value for _, value in asked))


# ---------------------------------------------------------------- lists


def _sorted_list(rng: random.Random) -> Document:
    """Factors out of order, sorted by how much they mattered."""
    assessment, style = random_assessment(rng)
    ranked = [
        f"{_name(part, rng)} ({abs(factor.contribution):.2f})"
        for part, factor in zip(
            _factors(assessment, style), (*assessment.strengths, *assessment.reasons), strict=False
        )
    ]
    ranked.sort(key=lambda line: -float(line.rsplit("(", 1)[1][:-1]))
    asked = choose(
        ("Sort by weight, largest on top:", "Order these, heaviest on top:", "Rank by the number:"), rng
    )
    return _talk(rng, "\n".join([asked, *shuffled(tuple(ranked), rng)]), "\n".join(ranked))


def _list_of_prose(rng: random.Random) -> Document:
    """A letter, and what it says as a list."""
    assessment, style = random_assessment(rng)
    text = narrative(assessment, style, rng, wording=_wording(rng))
    asked = choose(
        ("List the factors in this text.", "What does this letter name, in order?", "Take out the factors."),
        rng,
    )
    known = set(slots.facts(assessment))
    found = [
        " | ".join(filter(None, (_plain_name(part), part.strength, " ".join(_shown(part, known)))))
        for part in _factors(assessment, style)
    ]
    return _talk(rng, f"{asked}\n\n{text}", "\n".join([assessment.decision, *found]))


# ---------------------------------------------------------------- data to text


def _letter(rng: random.Random) -> Document:
    assessment, style = random_assessment(rng)
    text = narrative(assessment, style, rng, wording=_wording(rng))
    layout = choose(_LAYOUTS, rng)
    sheet = layout(_sheet(assessment, style, rng), rng)
    asked = choose(_TASKS, rng)
    return _talk(rng, choose((f"{asked}\n{sheet}", f"{sheet}\n\n{asked}", sheet), rng), text)


def _sheet(assessment: Assessment, style: Style, rng: random.Random) -> Sheet:
    keys = {name: choose(options, rng) for name, options in _KEYS.items()}
    head = (
        (keys["decision"], choose(_DECISIONS[assessment.decision], rng)),
        (keys["register"], choose(_REGISTERS[style.register], rng)),
        (keys["detail"], choose(_DETAILS[style.detail], rng)),
        (keys["amount"], _amount()),
        (keys["purpose"], _purpose(assessment)),
    )
    known = set(slots.facts(assessment))
    worded = bool(rng.random() < 0.5)
    rows = []
    for part in _factors(assessment, style):
        name = _plain_name(part) if worded else _name(part, rng)
        row = {keys["factor"]: name, keys["strength"]: choose(_STRENGTHS[part.strength], rng)}
        if assessment.decision == "approved":
            row[keys["side"]] = choose(_SIDES[part.side], rng)
        if shown := _shown(part, known):
            row[keys["facts"]] = " ".join(shown)
        rows.append(row)
    return Sheet(list(shuffled(head, rng)), (keys["factors"], rows))


def _as_json(sheet: Sheet, rng: random.Random) -> str:
    name, rows = sheet.items
    table = {**dict(sheet.head), name: rows} if rng.random() < 0.5 else {name: rows, **dict(sheet.head)}
    return json.dumps(table, indent=choose((None, 1), rng))


def _as_table(sheet: Sheet, rng: random.Random) -> str:
    rows = sheet.items[1]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    bar = choose((" | ", "\t", ", "), rng)
    lines = [bar.join(columns), *(bar.join(row.get(key, "-") for key in columns) for row in rows)]
    return "\n".join([*(f"{key}{bar}{value}" for key, value in sheet.head), *lines])


def _as_semicolons(sheet: Sheet, rng: random.Random) -> str:
    name, rows = sheet.items
    equals = choose(("=", ": ", " "), rng)
    head = "; ".join(f"{key}{equals}{value}" for key, value in sheet.head)
    return f"{head}; {name}{equals}" + "; ".join(", ".join(row.values()) for row in rows)


def _as_bullets(sheet: Sheet, rng: random.Random) -> str:
    dash = choose(("- ", "* ", "+ ", "> "), rng)
    head = [f"{key}: {value}" for key, value in sheet.head]
    return "\n".join(
        [*head, f"{sheet.items[0]}:", *(dash + ", ".join(row.values()) for row in sheet.items[1])]
    )


def _as_tags(sheet: Sheet, _: random.Random) -> str:
    name, rows = sheet.items
    head = "".join(f"<{key}>{value}</{key}>" for key, value in sheet.head)
    body = "".join(f"<{name[:-1]}>{' / '.join(row.values())}</{name[:-1]}>" for row in rows)
    return f"{head}\n{body}"


def _as_places(sheet: Sheet, rng: random.Random) -> str:
    name, rows = sheet.items
    mark, equals = choose((")", ":", " -"), rng), choose((" = ", ": "), rng)
    lines = [f"{place}{mark} {', '.join(row.values())}" for place, row in enumerate(rows, start=1)]
    return "\n".join([*(f"{key}{equals}{value}" for key, value in sheet.head), f"[{name}]", *lines])


def _rows(sheet: Sheet, rng: random.Random) -> str:
    between = choose(("\n", "; ", " / "), rng)
    return between.join(", ".join(row.values()) for row in sheet.items[1])


# ---------------------------------------------------------------- pieces


def _talk(rng: random.Random, asked: str, reply: str) -> list[Message]:
    system = choose(_SYSTEMS, rng)
    start = [Message("system", system)] if system else []
    return [*start, Message("user", asked), Message("assistant", reply)]


def _body(assessment: Assessment, style: Style, voice: Voice) -> str:
    return " ".join(map(str, blocks(assessment, style, voice)))


def _voice(style: Style, rng: random.Random) -> Voice:
    return Voice(rng, _wording(rng), style.register)


def _wording(rng: random.Random) -> Wording:
    """Mostly the likelier wordings, so that a text keeps one voice."""
    draw = rng.random()
    return "train" if draw < 0.8 else "held_out" if draw < 0.9 else "all"


def _depth(style: Style, rng: random.Random) -> str:
    return f"{choose(_DETAILS[style.detail], rng)} {choose(_KEYS['detail'], rng)}"


def _factors(assessment: Assessment, style: Style) -> tuple[Part, ...]:
    return tuple(one for one in parts_of(assessment, style) if one.kind == "factor")


def _amount() -> str:
    return f"{{{consumer().request.amount}}}"


def _purpose(assessment: Assessment) -> str:
    return str(assessment.applicant[consumer().request.purpose] or "other").replace("_", " ")


def _shown(part: Part, known: set[str]) -> list[str]:
    return [f"{{{name}}}" for name in consumer().reasons[part.code].slots if name in known]


def _plain_name(part: Part) -> str:
    entry = consumer().reasons[part.code]
    return entry.favorable if part.side == "favorable" else entry.statement


def _name(part: Part, rng: random.Random) -> str:
    name = _plain_name(part)
    return choose((name, name, name.lower(), part.code, part.code.replace("_", " ")), rng)


_LAYOUTS = (_as_json, _as_table, _as_semicolons, _as_bullets, _as_tags, _as_places)
_NAMES = tuple(name for one in consumer().reasons.values() for name in (one.statement, one.favorable))
_SLOTS = tuple(dict.fromkeys(name for one in consumer().reasons.values() for name in one.slots))
_WORDS = (
    *consumer().reasons,
    *(f"{{{name}}}" for name in _SLOTS),
    *consumer().request.purposes,
    *get_args(Strength),
    *get_args(Register),
    *get_args(Detail),
)

_COPYING: tuple[tuple[Callable[[random.Random], Document], int], ...] = (
    (_copied_words, 50),
    (_copied_list, 25),
    (_looked_up, 25),
)
_SHARES: tuple[tuple[Callable[[random.Random], Document], int], ...] = (
    (_letter, 50),
    (_prose, 6),
    (_sentences_of_list, 14),
    (_sentence_of_factor, 8),
    (_factor_prose, 3),
    (_one_sentence, 6),
    (_opening, 4),
    (_list_of_prose, 3),
    (_sorted_list, 2),
    (_copied_words, 4),
    (_copied_list, 4),
    (_looked_up, 6),
)
