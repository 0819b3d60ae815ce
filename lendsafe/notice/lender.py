"""Read the lender's file and refuse what no letter may say: placeholders, contradictions, old lists."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from lendsafe.errors import ConfigError
from lendsafe.fields import build, did_you_mean, knob, parse_toml, read_toml
from lendsafe.notice.characters import visible
from lendsafe.notice.config import (
    Agency,
    Bar,
    Image,
    NoticeConfig,
    Party,
    Pricing,
    ScoreSource,
    Translation,
    is_toll_free,
    strings,
)
from lendsafe.notice.key_factors import objection

_PLACEHOLDER = re.compile(
    r"fill[ _-]?in|[<>\[\]]|\bTODO\b|\bTBD\b|\bxxx|___|\byour (bank|company|credit union|lender|name|city)\b"
    r"|\b(bank|lender|company|creditor|agency) name\b|\blorem\b|\bchange ?me\b|\bplaceholder\b",
    re.IGNORECASE,
)
_FICTIONAL = re.compile(r"1?(\d{3}55501\d\d|555\d{7}|\d{3}555(?!1212)\d{4}|(\d)\2{9}|1234567890)")
_EARLIEST, _LATEST = date(2010, 1, 1), date(2098, 12, 31)
_MOST_BYTES = 300_000  # of one picture
_SIGNS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Office:
    """An agency as a lender's file names it."""

    name: str = knob(help="Name.")
    address: tuple[str, ...] = knob(help="Address, line by line.")


def read_config(path: Path) -> NoticeConfig:
    """Read the lender's file, with the pictures and the translation that it names.

    Raises:
        ConfigError: Naming every key that is missing, unknown, of the wrong type, a placeholder or
            a fictional telephone number.
    """
    table = read_toml(path)
    if isinstance(name := table.get("translation"), str):
        table["translation"] = read_toml(path.parent / name)
    config = config_from(table, str(path))
    return replace(
        config,
        logo=_image(path, config.creditor.logo, config.creditor.name),
        signature=_image(path, config.creditor.signature, f"Signature: {config.creditor.name}"),
    )


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
    shown = {key: value for key, value in table.items() if key != "translation"}
    if unfilled := sorted({name for name, text in strings(shown) if _PLACEHOLDER.search(text)}):
        raise ConfigError(f"{where}: still to be filled in: {', '.join(unfilled)}.")
    if unseen := sorted({name for name, text in strings(table) if _unseen(text)}):
        raise ConfigError(f"{where}: characters that no reader sees: {', '.join(unseen)}.")
    plain: dict[str, Any] = dict(table)
    if "as_of" in plain:
        plain["as_of"] = _date(plain["as_of"])
    if "creditor" in plain:
        plain["creditor"] = build(Party, _table(plain["creditor"], "creditor", where), f"{where} [creditor]")
    plain["bureaus"] = _each(plain.pop("bureau", ()), "bureau", where, _bureau)
    plain["scores"] = _each(plain.pop("score", ()), "score", where, _score)
    for name, kind in (("pricing", Pricing), ("translation", Translation)):
        if name in plain:
            inner = dict(_table(plain[name], name, where))
            inner |= {"cutoff_of": _date(inner["cutoff_of"])} if "cutoff_of" in inner else {}
            plain[name] = build(kind, inner, f"{where} [{name}]")
    plain["agency"] = _agency(plain, where)
    config = build(NoticeConfig, plain, where)
    if problems := list(_contradictions(config)):
        raise ConfigError(f"{where}: {'; '.join(problems)}.")
    return config


@cache
def agencies() -> dict[str, Agency]:
    """Appendix A by type of creditor."""
    table = parse_toml((files("lendsafe.notice") / "agencies.toml").read_text("utf-8"), "agencies.toml")
    as_of, source, since = table.pop("as_of"), table.pop("source"), table.pop("since")
    return {
        kind: Agency(
            offices=tuple(map(tuple, one["offices"])),
            item=one["item"],
            source=one.get("source", source),
            as_of=as_of,
            since=since,
        )
        for kind, one in table.items()
    }


def _agency(table: Mapping[str, Any], where: str) -> Agency | None:
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
    if table.get("jurisdictions") == ["EU-CCD"] and not kind:
        return None
    if not isinstance(kind, str) or kind not in agencies():
        hint = did_you_mean(str(kind), list(agencies()))
        raise ConfigError(
            f"{where}: 'creditor_type' is {kind!r}; expected one of {', '.join(agencies())}.{hint}"
        )
    found = agencies()[kind]
    if not found.offices:
        raise ConfigError(
            f"{where}: 'creditor_type' is {kind!r}, whose agency depends on the region; name it in an [agency] table."
        )
    return found


def _each(value: Any, name: str, where: str, read: Any) -> tuple[Any, ...]:
    """What stands in one table ``[name]`` or in several ``[[name]]``."""
    tables = value if isinstance(value, list | tuple) else [value]
    return tuple(read(_table(one, name, where), where) for one in tables)


def _bureau(table: Mapping[str, Any], where: str) -> Party:
    return build(Party, table, f"{where} [bureau]")


def _score(table: Mapping[str, Any], where: str) -> ScoreSource:
    bars = table.get("distribution", [])
    if not isinstance(bars, list):
        raise ConfigError(f"{where} [score]: 'distribution' is {bars!r}; expected a list of tables")
    read = tuple(
        build(Bar, _table(one, "score.distribution", where), f"{where} [score] distribution") for one in bars
    )
    rest = {key: value for key, value in table.items() if key != "distribution"}
    return replace(build(ScoreSource, rest, f"{where} [score]"), distribution=read)


def _image(where: Path, name: str, alt: str) -> Image | None:
    """The picture of that name, beside the lender's file."""
    if not name:
        return None
    path = where.parent / name
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise ConfigError(f"{where}: {path}: {problem.strerror}.") from problem
    kind = next((kind for sign, kind in _SIGNS.items() if data.startswith(sign)), "")
    if not kind or len(data) > _MOST_BYTES:
        raise ConfigError(f"{where}: {path}: expected a PNG or JPEG of up to {_MOST_BYTES // 1000} kB.")
    return Image(data=data, kind=kind, alt=alt)


def _contradictions(config: NoticeConfig) -> Iterator[str]:
    american = "EU-CCD" not in config.jurisdictions
    if not _EARLIEST <= config.as_of <= _LATEST:
        yield f"'as_of' is {config.as_of}; expected the day on which this file was last checked"
    if not american and len(config.jurisdictions) > 1:
        yield "'jurisdictions' names the United States and the European Union; write a file for each"
    yield from _party_problems(config.creditor, "creditor", config.specimen, american)
    for bureau in config.bureaus:
        yield from _party_problems(bureau, "bureau", config.specimen, american)
        if bureau.nationwide and not is_toll_free(bureau.phone):
            yield "a nationwide bureau's 'phone' is toll-free (15 USC 1681m(a)(3)(A))"
    if config.score_disclosed != "none" and not config.scores:
        yield f"score_disclosed is '{config.score_disclosed}', and there is no [score]"
    if config.score_disclosed == "bureau" and not config.bureaus:
        yield "score_disclosed is 'bureau', and there is no [bureau]"
    for names, what in (
        ([one.name for one in config.bureaus], "[bureau] tables have the same name"),
        ([one.provider for one in config.scores], "[score] tables have the same provider"),
    ):
        if len(set(names)) < len(names):
            yield f"two {what}"
    for score in config.scores:
        yield from _score_problems(score, config.approval_score_notice and config.score_disclosed != "none")
    yield from _pricing_problems(config)


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
    for factor in score.key_factors:
        if problem := objection(factor):
            yield f"[score] key_factors: {factor!r} {problem}"


def _pricing_problems(config: NoticeConfig) -> Iterator[str]:
    pricing = config.pricing
    if pricing is None:
        return
    if config.approval_score_notice:
        yield "[pricing] has no effect while 'approval_score_notice' is true (12 CFR 1022.74(e)); set it to false"
    if pricing.method == "score_proxy" and (pricing.cutoff is None or pricing.cutoff_of is None):
        yield "[pricing] of method 'score_proxy' needs 'cutoff' and 'cutoff_of'"
    if pricing.method == "tiers" and pricing.tiers is None:
        yield "[pricing] of method 'tiers' needs 'tiers'"
    if not config.bureaus:
        yield "a risk-based pricing notice names the agency, and there is no [bureau] (12 CFR 1022.73(a)(1)(v))"


def _party_problems(party: Party, name: str, specimen: bool, american: bool) -> Iterator[str]:
    if not party.name.strip() or not party.address or not all(line.strip() for line in party.address):
        yield f"[{name}] needs a name and an address"
    digits = "".join(char for char in party.phone if char.isdigit())
    if len(digits) < (10 if american else 6):
        yield f"[{name}] 'phone' is {party.phone!r}; expected at least ten digits"
    if _FICTIONAL.fullmatch(digits) and not specimen:
        yield f"[{name}] 'phone' is {party.phone!r}, a fictional number"


def _table(value: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: '{name}' is {value!r}; expected a table")
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
