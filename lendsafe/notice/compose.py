"""From a decision's grounds to letters. No sentence of the law is written here: see the block table."""

from itertools import groupby

from lendsafe.errors import ConfigError, DataError
from lendsafe.notice import table
from lendsafe.notice.case import FIRST_DAY, Case, Dates
from lendsafe.notice.config import NoticeConfig
from lendsafe.notice.grounds import Consumer, Grounds
from lendsafe.notice.letter import Block, Letter, Look, Section
from lendsafe.notice.templates import fill, templates

_UNTRANSLATED = frozenset({"narrative"})  # it explains in English what the reasons state


def compose(
    grounds: Grounds,
    narrative: str,
    config: NoticeConfig,
    dates: Dates,
    recipient: Consumer | None = None,
) -> Letter:
    """Compose the letter that a decision asks for.

    Args:
        grounds: The decision.
        narrative: Explanation that passed every check; empty for none.
        config: The lender.
        dates: Days that the law counts from. A letter that is late is composed all the same, and
            :attr:`Letter.late` says so.
        recipient: The person of the application that it goes to; the primary applicant if left out.

    Raises:
        ConfigError: If the lender's file lacks what this letter has to name.
        DataError: If the grounds lack what this letter has to say.
    """
    case = Case(
        grounds=grounds,
        recipient=recipient or grounds.consumers[0],
        narrative=narrative,
        config=config,
        dates=dates,
    )
    _refuse_incomplete_grounds(case)
    _refuse_incomplete_config(case)
    _refuse_incomplete_scores(case)
    translated = translation(case)
    return Letter(title=table.title(case), sections=sections(case), case=case, translated=translated)


def compose_all(grounds: Grounds, narrative: str, config: NoticeConfig, dates: Dates) -> list[Letter]:
    """A letter for each person of the application who is to get one.

    The primary applicant always (12 CFR 1002.9(f)). A joint applicant whose own report or score was used
    (15 USC 1681m(a)), or whose credit is granted (12 CFR 1022.75(c)). A co-signer whose score was obtained
    for credit that is granted. Nobody's letter names another's score.
    """
    return [
        compose(grounds, narrative, config, dates, one)
        for one in grounds.consumers
        if one.role == "primary" or _concerns(one, grounds)
    ]


def sections(case: Case) -> tuple[Section, ...]:
    """The blocks that the table asks for, under their headings."""
    found = []
    for key, specs in groupby(table.wanted(case), key=lambda one: one[0].section):
        blocks = tuple(_block(spec.id, number, content, case) for spec, number, content in specs)
        found.append(Section(heading=table.heading(key, case), look=table.SECTIONS[key][1], blocks=blocks))
    return tuple(found)


def _concerns(one: Consumer, grounds: Grounds) -> bool:
    granted = grounds.action in ("approved", "account_review")
    known = bool(one.bureaus or one.scores)
    if one.role == "cosigner":
        return granted and known
    return granted or (known and grounds.action in ("declined", "counteroffer", "account"))


def _block(name: str, number: int, content: table.Content, case: Case, text: str | None = None) -> Block:
    template = templates()[name]
    sentences = template.text if text is None else text
    return Block(
        id=name,
        number=number,
        version=template.version,
        citation=template.citation,
        shape=template.shape,
        text=fill(sentences, table.common_slots(case) | dict(content.slots)) if sentences else "",
        items=content.items,
        rows=content.rows,
    )


def translation(case: Case) -> tuple[Section, ...]:
    """The letter in the lender's second language, block by block; what is a name or a figure stays as it is.

    Raises:
        ConfigError: If a block that this letter has is not translated, or its English text has changed since.
    """
    if (second := case.config.translation) is None:
        return ()
    phrases: dict[str, str] = second.phrases
    lacking: list[str] = []
    found = []
    for english in sections(case):
        blocks = []
        for block in english.blocks:
            template = templates()[block.id]
            if block.id in _UNTRANSLATED:
                continue
            if template.text and second.sha256.get(block.id) != template.sha256:
                lacking.append(block.id)
                continue
            spec = next(one for one in table.BLOCKS if one.id == block.id)
            content = spec.found(case)[block.number]
            content = table.Content(
                items=tuple(phrases.get(item, item) for item in content.items),
                rows=tuple(row._replace(label=phrases.get(row.label, row.label)) for row in content.rows),
                slots=content.slots,
            )
            blocks.append(_block(block.id, block.number, content, case, second.texts.get(block.id, "")))
        if blocks and english.heading and english.heading not in phrases:
            lacking.append(english.heading)
        heading = second.title if english.look == "letterhead" else phrases.get(english.heading, "")
        look: Look = "page" if english.look == "letterhead" else english.look  # the translation opens a page
        if blocks:
            found.append(Section(heading=heading, look=look, blocks=tuple(blocks), language=second.language))
    lacking += [text for text in _to_translate(case) if text not in phrases]
    if lacking:
        raise ConfigError(
            f"The translation into '{second.language}' lacks, or was made of another text of: "
            f"{', '.join(dict.fromkeys(lacking))}."
        )
    return tuple(found)


def _to_translate(case: Case) -> list[str]:
    """Statements that the law asks for, beside the sentences of blocks."""
    stated = [one.statement for one in case.grounds.reasons] if case.states_reasons else []
    return [*stated, *(case.grounds.needed if case.kind == "incomplete" else ())]


def _refuse_incomplete_grounds(case: Case) -> None:
    grounds, dates = case.grounds, case.dates
    if (case.adverse or case.kind == "reasons") and not grounds.reasons:
        raise DataError(f"A letter of {case.kind} states reasons, and the assessment has none.")
    if case.kind == "counteroffer" and grounds.offered is None:
        raise DataError("A counteroffer names an amount; set counteroffer_amount.")
    if case.kind == "incomplete" and not grounds.needed:
        raise DataError("A notice of incompleteness names what is missing; the assessment lists nothing.")
    if case.kind in ("account", "review") and not grounds.change:
        raise DataError("A letter about an account says what was done to it; set 'change'.")
    if case.kind == "reasons" and (dates.denied is None or dates.requested is None):
        raise DataError("A statement of reasons answers a request; give the days 'denied' and 'requested'.")
    if case.kind == "right" and not grounds.business:
        raise DataError(
            "The right to reasons is told at application for business credit (12 CFR 1002.9(a)(3))."
        )


def _refuse_incomplete_config(case: Case) -> None:
    config = case.config
    if (case.adverse or case.pricing_form) and (
        unknown := [name for name in case.recipient.bureaus if config.bureau(name) is None]
    ):
        raise ConfigError(
            f"A consumer report of {unknown[0]!r} was used, and the configuration has no [bureau] of that name "
            "(15 USC 1681m(a)(3))."
        )
    if case.under("US") and case.dates.notice < (config.agency.since if config.agency else case.dates.notice):
        raise ConfigError("The list of agencies is not that of the letter's day.")
    if "EU-CCD" in config.jurisdictions and not case.under("EU-CCD"):
        raise ConfigError("The rules of Directive (EU) 2023/2225 apply from 2026-11-20; the letter is older.")


def _refuse_incomplete_scores(case: Case) -> None:
    if case.adverse and case.grounds.score_used and case.config.score_disclosed == "none":
        raise ConfigError(
            "A credit score was used in the decision, and score_disclosed is 'none' (15 USC 1681m(a)(2))."
        )
    if case.report_disclosed and case.grounds.score_used and not case.scores:
        raise DataError(
            "A credit score was used in the decision, and the application names none: neither a score nor that "
            "there was none to be had (15 USC 1681m(a)(2))."
        )
    pricing = case.scores if case.pricing_form else ()
    for score, source in (*case.scores_used, *pricing):
        if score.value is None:
            continue
        if score.created is None:
            raise DataError("A disclosed score is dated (15 USC 1681g(f)(1)(D)); set score_created.")
        if not FIRST_DAY <= score.created <= case.dates.notice:
            raise DataError(
                f"The score of {source.provider} is of {score.created}; expected a day up to the letter's, "
                f"{case.dates.notice}."
            )
    unsaid = [one for one in case.scores_used if one.score.key_factors is None]
    if case.pricing_form in ("H-6", "H-7"):
        unsaid += [one for one in case.scores if one.score.key_factors is None]
    if unsaid:
        raise DataError(
            "A disclosed score comes with 'key_factors' from its provider; give the list, "
            "empty if the provider named none."
        )
