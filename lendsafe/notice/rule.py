"""A rule over a composed letter, and what holds for any block that a rule asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lendsafe.errors import LendSafeError
from lendsafe.notice.compose import slot_values
from lendsafe.notice.contents import expected
from lendsafe.notice.letter import Block, Case, Letter
from lendsafe.notice.templates import fill, templates

Flaw = tuple[str, str]  # (block id, or "" for the letter as a whole; what is wrong)


def _always(_: Case) -> bool:
    return True


def _nothing(_: Letter) -> Iterator[Flaw]:
    return iter(())


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that the law asks of a letter.

    Attributes:
        id: ``B4``, ``F2`` ...
        citation: The provision.
        requirement: What it asks for, in a sentence.
        blocks: Blocks that serve it, separated by spaces; each has to be there and say what it should.
        applies: Whether it concerns this case.
        check: What else is wrong, given the letter.
    """

    id: str
    citation: str
    requirement: str
    blocks: str = ""
    applies: Callable[[Case], bool] = _always
    check: Callable[[Letter], Iterator[Flaw]] = _nothing

    def flaws(self, letter: Letter) -> Iterator[Flaw]:
        """Everything that is wrong with a letter that the rule concerns."""
        for name in self.blocks.split():
            yield from block_flaws(letter, name)
        yield from self.check(letter)


def find(letter: Letter, name: str) -> list[Block]:
    """Every block of that id; there should be one at most."""
    return [block for block in letter.blocks if block.id == name]


def block_flaws(letter: Letter, name: str) -> Iterator[Flaw]:
    """Why the block is not what it has to be: absent, empty, another text, other contents."""
    found = find(letter, name)
    if not found:
        yield name, f"'{name}' is missing"
    for block in found:
        if problem := _problem(block, letter.case):
            yield name, problem


def _problem(block: Block, case: Case) -> str:
    template = templates()[block.id]
    try:
        text = fill(template.text, slot_values(case))
    except LendSafeError as problem:
        return f"'{block.id}': {problem}"
    if not block.content.strip():
        return f"'{block.id}' is empty"
    if (block.version, block.citation, block.shape) != (template.version, template.citation, template.shape):
        return f"'{block.id}' is not version {template.version} of its template"
    if block.text != text:
        return f"'{block.id}' does not say what its template says"
    if (block.items, block.rows) != expected(block.id, case):
        return f"'{block.id}' does not carry what it should, in order"
    return ""


def adverse(case: Case) -> bool:
    """Denials and counteroffers."""
    return case.kind in ("denial", "counteroffer")
