"""Who sends letters, and what the law wants named in them: one dated TOML file.

Nothing here has a made-up default. A placeholder, a fictional telephone number or a missing table
is refused, in one message that names every one.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from lendsafe.errors import ConfigError
from lendsafe.fields import build, did_you_mean, knob, parse_toml, read_toml
from lendsafe.notice.characters import visible

ScoreDisclosed = Literal["bureau", "proprietary", "none"]

_PLACEHOLDER = re.compile(r"fill[ _-]?in|[<>\[\]]|\bTODO\b|\bTBD\b|\bxxx", re.IGNORECASE)
_FICTIONAL = re.compile(r"555\D?01\d\d$")
_TOLL_FREE = re.compile(r"1?8(00|33|44|55|66|77|88)\d{7}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or office that a letter names: the creditor, a consumer reporting agency.

    Attributes:
        nationwide: Whether a consumer reporting agency keeps files nationwide; its telephone number
            is then toll-free (15 USC 1681m(a)(3)(A)).
        office: Office that signs, for the creditor.
    """

    name: str = knob(help="Name.")
    address: tuple[str, ...] = knob(help="Address, line by line.")
    phone: str = knob(help="Telephone number.")
    nationwide: bool = knob(False, "Whether a consumer reporting agency keeps files nationwide.")
    office: str = knob("", "Office that signs.")

    @property
    def lines(self) -> tuple[str, ...]:
        """Name, address and telephone number, as a letter sets them."""
        label = "Toll-free telephone" if is_toll_free(self.phone) else "Telephone"
        return (self.name, *self.address, f"{label}: {self.phone}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Share of consumers whose score lies in [low, high]."""

    low: int = knob(help="Lowest score of the bar.", low=0)
    high: int = knob(help="Highest score of the bar.", low=0)
    percent: float = knob(help="Share of consumers.", unit="percent", low=0, high=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSource:
    """The disclosed score: who provided it, its range, its distribution.

    Attributes:
        low: Lowest possible score.
        high: Highest possible score.
        provider: Name of the person that provided it.
        address: Where questions about the score go; may be empty.
        phone: The same; may be empty.
        distribution: Six bars or more, or none.
    """

    low: int = knob(help="Lowest possible score.", low=0)
    high: int = knob(help="Highest possible score.", low=1)
    provider: str = knob(help="Name of the person that provided the score.")
    address: tuple[str, ...] = knob((), "Where questions about the score go.")
    phone: str = knob("", "Telephone number for questions about the score.")
    distribution: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """The Federal agency that administers compliance (12 CFR 1002 appendix A).

    Attributes:
        offices: Name and address of each, line by line; two for some affiliates.
        item: Item of appendix A.
        source: Where the list comes from.
        as_of: When it was read.
    """

    offices: tuple[tuple[str, ...], ...]
    item: str
    source: str
    as_of: date

    @property
    def sentence(self) -> str:
        """Names and addresses, as the notice of 12 CFR 1002.9(b)(1) ends."""
        return "; and ".join(", ".join(office) for office in self.offices)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Office:
    """An agency as a lender's file names it."""

    name: str = knob(help="Name.")
    address: tuple[str, ...] = knob(help="Address, line by line.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeConfig:
    """Everything about a letter that is the lender's, not the applicant's.

    ``score_disclosed`` has no default: whether the lender's own score is a "credit score"
    (15 USC 1681g(f)(2)(A)) is a question for counsel, and the answer has to be written down.
    """

    as_of: date = knob(help="Day on which names, addresses and numbers were last checked.")
    creditor: Party = knob(help="The lender.")
    creditor_type: str = knob(help="Row of appendix A that the lender belongs to.")
    agency: Agency = knob(help="Agency that administers compliance.")
    score_disclosed: ScoreDisclosed = knob(
        help="Which score a letter discloses: bureau, proprietary or none."
    )
    bureau: Party | None = knob(None, "Consumer reporting agency whose report is used.")
    score: ScoreSource | None = knob(None, "The disclosed score.")
    approval_score_notice: bool = knob(True, "Whether approvals carry the disclosure of 12 CFR 1022.74(e).")
    outside_source: bool = knob(False, "Whether an outside source other than a bureau was used.")
    response_days: int = knob(30, "Days to accept a counteroffer or complete an application.", low=1, high=90)
    retention_months: int = knob(
        25, "Months that records are kept; 25 at least (12 CFR 1002.12(b)(1)).", low=1, high=1200
    )
    specimen: bool = knob(False, "Mark every letter as a specimen.")

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every text with its key in the lender's file."""
        return _strings(asdict(self))


def read_config(path: Path) -> NoticeConfig:
    """Read the lender's file.

    Raises:
        ConfigError: Naming every key that is missing, unknown, of the wrong type, a placeholder or
            a fictional telephone number.
    """
    return config_from(read_toml(path), str(path))


@cache
def demo_config() -> NoticeConfig:
    """A lender that does not exist; its letters say that they are specimens."""
    where = "lendsafe/notice/demo.toml"
    return config_from(parse_toml((files("lendsafe.notice") / "demo.toml").read_text("utf-8"), where), where)


def example_toml() -> str:
    """The commented file to copy and fill in."""
    return (files("lendsafe.notice") / "example.toml").read_text("utf-8")


def config_from(table: Mapping[str, Any], where: str = "") -> NoticeConfig:
    """Build and check a configuration from TOML's tables."""
    if unfilled := sorted(name for name, text in _strings(table) if _PLACEHOLDER.search(text)):
        raise ConfigError(f"{where}: still to be filled in: {', '.join(unfilled)}.")
    if unseen := sorted(name for name, text in _strings(table) if _unseen(text)):
        raise ConfigError(f"{where}: characters that no reader sees: {', '.join(unseen)}.")
    plain: dict[str, Any] = dict(table)
    if "as_of" in plain:
        plain["as_of"] = _date(plain["as_of"])
    for name in ("creditor", "bureau"):
        if name in plain:
            plain[name] = build(Party, _table(plain[name], name, where), f"{where} [{name}]")
    if "score" in plain:
        plain["score"] = _score(_table(plain["score"], "score", where), where)
    plain["agency"] = _agency(plain, where)
    config = build(NoticeConfig, plain, where)
    if problems := list(_contradictions(config)):
        raise ConfigError(f"{where}: {'; '.join(problems)}.")
    return config


@cache
def agencies() -> dict[str, Agency]:
    """Appendix A by type of creditor."""
    table = parse_toml((files("lendsafe.notice") / "agencies.toml").read_text("utf-8"), "agencies.toml")
    as_of, source = table.pop("as_of"), table.pop("source")
    return {
        kind: Agency(offices=tuple(map(tuple, one["offices"])), item=one["item"], source=source, as_of=as_of)
        for kind, one in table.items()
    }


def is_toll_free(phone: str) -> bool:
    """Whether a North American number is toll-free."""
    return bool(_TOLL_FREE.fullmatch("".join(char for char in phone if char.isdigit())))


def _agency(table: Mapping[str, Any], where: str) -> Agency:
    if "agency" in table:
        own = build(_Office, _table(table["agency"], "agency", where), f"{where} [agency]")
        lines = (own.name, *own.address)
        if len(lines) < 2 or not all(line.strip() for line in lines):
            raise ConfigError(f"{where} [agency]: give 'name' and 'address' (a list of lines).")
        as_of = table.get("as_of")
        return Agency(
            offices=(lines,), item="", source=where, as_of=as_of if isinstance(as_of, date) else date.min
        )
    kind = table.get("creditor_type", "")
    if not isinstance(kind, str) or kind not in agencies():
        hint = did_you_mean(str(kind), list(agencies()))
        raise ConfigError(
            f"{where}: 'creditor_type' is {kind!r}; expected one of {', '.join(agencies())}.{hint}"
        )
    return agencies()[kind]


def _score(table: Mapping[str, Any], where: str) -> ScoreSource:
    bars = tuple(
        build(Bar, _table(one, "score.distribution", where), f"{where} [score] distribution")
        for one in _list(table.get("distribution", []), where)
    )
    rest = {key: value for key, value in table.items() if key != "distribution"}
    source = build(ScoreSource, rest, f"{where} [score]")
    return ScoreSource(**{name: getattr(source, name) for name in rest}, distribution=bars)


def _contradictions(config: NoticeConfig) -> Iterator[str]:
    yield from _party_problems(config.creditor, "creditor", config.specimen)
    if config.bureau:
        yield from _party_problems(config.bureau, "bureau", config.specimen)
        if config.bureau.nationwide and not is_toll_free(config.bureau.phone):
            yield "a nationwide bureau's 'phone' is toll-free (15 USC 1681m(a)(3)(A))"
    if config.score_disclosed != "none" and config.score is None:
        yield f"score_disclosed is '{config.score_disclosed}', and there is no [score]"
    if config.score_disclosed == "bureau" and config.bureau is None:
        yield "score_disclosed is 'bureau', and there is no [bureau]"
    if config.score:
        yield from _score_problems(
            config.score, config.approval_score_notice and config.score_disclosed != "none"
        )


def _score_problems(score: ScoreSource, needs_distribution: bool) -> Iterator[str]:
    if score.low >= score.high:
        yield "[score] 'low' is not below 'high'"
    bars = score.distribution
    if needs_distribution and len(bars) < 6:
        yield "approval_score_notice needs a [score] distribution of six bars or more (12 CFR 1022.74(e)(1)(ii)(F))"
    if bars and not 99 <= sum(bar.percent for bar in bars) <= 101:
        yield "the percentages of the [score] distribution do not add up to 100"
    if any(bar.low > bar.high for bar in bars) or any(a.high >= b.low for a, b in pairwise(bars)):
        yield "the bars of the [score] distribution overlap or are out of order"


def _party_problems(party: Party, name: str, specimen: bool) -> Iterator[str]:
    if not party.name.strip() or not party.address or not all(line.strip() for line in party.address):
        yield f"[{name}] needs a name and an address"
    if sum(char.isdigit() for char in party.phone) < 10:
        yield f"[{name}] 'phone' is {party.phone!r}; expected at least ten digits"
    if _FICTIONAL.search(party.phone) and not specimen:
        yield f"[{name}] 'phone' is {party.phone!r}, a fictional number"


def _table(value: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: '{name}' is {value!r}; expected a table")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{where} [score]: 'distribution' is {value!r}; expected a list of tables")
    return value


def _date(value: Any) -> Any:
    """A date that stands in quotes, as the example shows it; anything else as it is, for the check to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return date.fromisoformat(value)
    except ValueError:
        return value


def _unseen(text: str) -> bool:
    """Whether there is more in a text than a letter can show."""
    return visible(text) != " ".join(unicodedata.normalize("NFC", text).split())


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a file with its key."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _strings(inner, f"{name}.{key}".strip("."))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner, name)
    elif isinstance(value, str):
        yield name, value
