"""A rule over a composed letter, and what holds for any block that a rule asks for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from lendsafe.errors import LendSafeError
from lendsafe.notice import table
from lendsafe.notice.case import Case
from lendsafe.notice.letter import Block, Letter
from lendsafe.notice.templates import fill, templates

Flaw = tuple[str, str]  # (block id, or "" for the letter as a whole; what is wrong)


def always(_: Case) -> bool:
    """Every letter."""
    return True


def adverse(case: Case) -> bool:
    """Notices of adverse action under Federal law."""
    return case.kind in ("denial", "counteroffer", "account") and case.under("US")


def stated(case: Case) -> bool:
    """Letters that state principal reasons."""
    return case.states_reasons


def kind(*kinds: str) -> Callable[[Case], bool]:
    """Letters of these kinds."""
    return lambda case: case.kind in kinds


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
    applies: Callable[[Case], bool] = always
    check: Callable[[Letter], Iterator[Flaw]] = _nothing

    def flaws(self, letter: Letter) -> Iterator[Flaw]:
        """Everything that is wrong with a letter that the rule concerns."""
        for name in self.blocks.split():
            yield from block_flaws(letter, name)
        yield from self.check(letter)


def find(letter: Letter, name: str) -> list[Block]:
    """Every block of that id."""
    return [block for block in letter.blocks if block.id == name]


def block_flaws(letter: Letter, name: str) -> Iterator[Flaw]:
    """Why the block is not what it has to be: absent, empty, another text, other contents."""
    spec = next(one for one in table.BLOCKS if one.id == name)
    contents = list(spec.contents(letter.case))
    found = find(letter, name)
    if not found:
        yield name, f"'{name}' is missing"
    elif len(found) < len(contents):
        yield name, f"'{name}' is there {len(found)} times, and {len(contents)} are asked for"
    for number, block in enumerate(found):
        if number < len(contents) and (problem := _problem(block, number, contents[number], letter.case)):
            yield name, problem


def _problem(block: Block, number: int, content: table.Content, case: Case) -> str:
    template = templates()[block.id]
    try:
        text = fill(template.text, table.common_slots(case) | dict(content.slots))
    except LendSafeError as problem:
        return f"'{block.id}': {problem}"
    if not block.content.strip():
        return f"'{block.id}' is empty"
    pinned = (number, template.version, template.citation, template.shape)
    if (block.number, block.version, block.citation, block.shape) != pinned:
        return f"'{block.id}' is not version {template.version} of its template"
    if block.text != text:
        return f"'{block.id}' does not say what its template says"
    if (block.items, block.rows) != (content.items, content.rows):
        return f"'{block.id}' does not carry what it should, in order"
    return ""
