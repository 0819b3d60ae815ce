"""The untruths of ``strangers2.toml`` and after, each in its part of an otherwise true narrative."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from applicants import applicant
from approved import language

from lendsafe import parts, template
from lendsafe.eval.truth.label import label
from lendsafe.records import Assessment, Reason, Style

SIZES = {"strong": 1.2, "moderate": 0.7, "slight": 0.3}


@dataclass(frozen=True)
class Untruth:
    kind: str
    sentence: str
    assessment: Assessment
    style: Style
    part: int
    texts: tuple[str, ...]

    @property
    def planted(self) -> tuple[str, ...]:
        """Every part's text, with the untruth behind the true sentences of its own."""
        return tuple(
            f"{text} {self.sentence}" if at == self.part else text for at, text in enumerate(self.texts)
        )


def factors(table: dict[str, str], sign: int) -> tuple[Reason, ...]:
    return tuple(
        Reason(code=code, strength=word, contribution=sign * (SIZES[word] - 0.01 * at))
        for at, (code, word) in enumerate(table.items())
    )


def subject(table: dict[str, Any]) -> tuple[Assessment, Style]:
    facts = dict(table["facts"])
    counter = facts.pop("counteroffer_amount", None)
    person = applicant("S-1", loan_purpose=table["purpose"], **facts)
    one = Assessment(
        applicant=person, decision=table["decision"], default_probability=0.3, cutoff=0.2,
        reasons=factors(table.get("reasons", {}), 1), strengths=factors(table.get("strengths", {}), -1),
        counteroffer_amount=counter,
    )  # fmt: skip
    return one, Style(detail=table.get("detail", "standard"))


def table(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))


def subjects() -> dict[str, tuple[Assessment, Style]]:
    return {name: subject(one) for name, one in table("strangers2.toml")["subject"].items()}


def untruths(name: str = "strangers2.toml") -> list[Untruth]:
    read, about = table(name), subjects()
    read.pop("subject", None)
    found = []
    for kind, said_of in read.items():
        for name, places in said_of.items():
            one, style = about[name]
            opened = parts.of(one, style)
            texts = label(template.template(one, style), one, style, language()).texts
            for where, said in places.items():
                at = next(i for i, part in enumerate(opened) if where in (part.kind, part.code))
                found += [Untruth(kind, sentence, one, style, at, texts) for sentence in said]
    return found
