"""Application in, letter out: assess, prompt, generate, check, fall back, compose, validate, render."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from lendsafe import __version__, notice, prompts
from lendsafe.errors import ConfigError, DataError
from lendsafe.files import sha256, write_atomically
from lendsafe.mlx_lora.exchange import adapter as adapters
from lendsafe.notice import Dates, Letter, NoticeConfig
from lendsafe.pipeline import law
from lendsafe.pipeline.applications import Application, application_from, read_applications
from lendsafe.pipeline.grounds import grounds
from lendsafe.pipeline.narrate import Narrator, Request, narrator
from lendsafe.pipeline.narrate import explain as checked_narratives
from lendsafe.pipeline.settings import GenerateConfig
from lendsafe.product import Product
from lendsafe.product import load as load_product
from lendsafe.records import Applicant, Assessment, Decision, Explanation, Reason, Style, to_json
from lendsafe.risk.decision import Policy
from lendsafe.risk.model.engine import RiskEngine

# file ending -> how a letter is written
RENDERERS: dict[str, Callable[[Letter], bytes | str]] = {
    "pdf": notice.render_pdf,
    "html": notice.render_html,
    "txt": notice.render_text,
    "eml": notice.render_email,
}
_LATE = ("B1", "")  # what the validator finds of a late letter as a whole; it is sent all the same
# what the model is asked, what stands in for it, and how figures are shown
_WORDING = ("prompts.py", "template.py", "parts.py", "slots.py", "product/show.py")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One application, decided and explained.

    Attributes:
        application: As it came in.
        explanation: The narrative, which passed every check, and how it came about.
        letter: Composed and found complete; None if no lender was named.
        identity: Hashes of everything that it was made with.
    """

    application: Application
    explanation: Explanation
    letter: Letter | None
    identity: Mapping[str, str | None]

    @property
    def decision(self) -> Decision:
        """Outcome of the application."""
        return self.explanation.assessment.decision

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What weighed against the applicant, most adverse first."""
        return self.explanation.assessment.reasons

    @property
    def text(self) -> str:
        """The narrative."""
        return self.explanation.text

    def write_letter(self, path: Path | str) -> None:
        """Write the letter as the file's ending says: ``.pdf``, ``.html``, ``.txt`` or ``.eml``.

        Raises:
            ConfigError: If there is no letter, or another ending.
            DiskError: If it cannot be written.
        """
        if self.letter is None:
            raise ConfigError("There is no letter: name the lender that it comes from.")
        write_atomically(Path(path), render(self.letter, ending(Path(path))), private=True)

    def to_json(self) -> dict[str, Any]:
        """What may be reported and logged: no name, address or account number is in it."""
        told, assessment = self.explanation, self.explanation.assessment
        return {
            "applicant_id": self.application.id,
            "application_sha256": self.application.sha256,
            "decision": assessment.decision,
            "default_probability": round(assessment.default_probability, 6),
            "reasons": [_factor(assessment, one, adverse=True) for one in assessment.reasons],
            "strengths": [_factor(assessment, one, adverse=False) for one in assessment.strengths],
            "missing": list(assessment.missing),
            "counteroffer_amount": assessment.counteroffer_amount,
            "text": told.text,
            "source": told.source,
            "tries": told.tries,
            "fallback": told.fallback,
            "why": told.why,
            "approved_language": told.language,
            "findings": [to_json(one) for one in told.findings],
            "letter": self.letter and _letter(self.letter),
            **self.identity,
        }


@dataclass(frozen=True)
class Explainer:
    """Everything that an explanation needs, loaded once.

    Attributes:
        engine: The risk model; it decides and ranks the reasons.
        writer: The language model; None leaves every narrative to the deterministic template.
        lender: Whom letters come from; None writes none.
        style: How narratives are worded.
        adapter_sha256: Hash of the writer's adapter, if it has one.

    Raises:
        ConfigError: If the letters are to disclose the risk model's own score and it was not trained to
            give that score's key factors, or a bureau's score that neither model nor policy uses. A specimen,
            which goes to nobody, may come of any.
    """

    engine: RiskEngine
    writer: Narrator | None = None
    lender: NoticeConfig | None = None
    style: Style = field(default_factory=Style)
    adapter_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.lender and self._own_score and self.engine.config.score_disclosed != "proprietary":
            raise ConfigError(
                "The lender's score_disclosed is 'proprietary', and the risk model gives no key factors of its own "
                "score. Train it with --score-disclosed proprietary."
            )
        lender = self.lender
        if lender and lender.score_disclosed == "bureau" and not (self.engine.uses_score or lender.specimen):
            raise ConfigError(
                f"The lender's score_disclosed is 'bureau', and model and policy do not use "
                f"'{self.product.score.field or 'a score'}': a letter cannot say that it was used. Set none."
            )

    @classmethod
    def load(
        cls,
        risk: Path | str,
        *,
        product: Product | Path | str | None = None,
        adapter: Path | str | None = None,
        model: str | None = None,
        lender: NoticeConfig | Path | str | None = None,
        style: Style | None = None,
        generation: GenerateConfig | None = None,
    ) -> Self:
        """Load a risk model, and a language model if one is named.

        Args:
            risk: Folder of the risk model.
            product: Product in use, whose words may have changed since; the one it was trained with by default.
            adapter: Run folder; it names its base.
            model: A base without adapter, instead.
            lender: TOML file of the lender, or what was read from one.
            style: How narratives are worded.
            generation: How they are generated.

        Raises:
            LendSafeError: If a folder or file is missing, damaged or contradicts another.
        """
        if adapter is not None and model is not None:
            raise ConfigError("An adapter names its base; give an adapter or a model, not both.")
        if adapter is not None and not (Path(adapter) / adapters.CONFIG).is_file():
            raise ConfigError(f"{adapter}: no {adapters.CONFIG}; expected the folder of a run.")
        read = notice.read_config(Path(lender)) if isinstance(lender, Path | str) else lender
        engine = in_use(RiskEngine.load(risk), product)
        name = str(adapter) if adapter is not None else model
        return cls(
            engine,
            narrator(name, generation) if name else None,
            read,
            style or Style(),
            sha256(Path(adapter) / adapters.MLX_FILE) if adapter is not None else None,
        )

    @property
    def product(self) -> Product:
        """What fields and reasons mean."""
        return self.engine.features.product

    @cached_property
    def identity(self) -> dict[str, str | None]:
        """What an explanation depends on beside the application."""
        base = self.writer.base if self.writer else None
        wording = b"".join((files("lendsafe") / name).read_bytes() for name in _WORDING)
        return {
            "model": base.name if base else None,
            "model_sha256": base.identity if base else None,
            "adapter_sha256": self.adapter_sha256,
            "template_sha256": notice.templates_sha256(),
            "wording_sha256": hashlib.sha256(wording).hexdigest(),
            "risk_model": self.engine.identity,
            "product": self.product.name,
            "product_sha256": self.product.sha256,
            "language_sha256": self.writer.language.digest if self.writer and self.writer.language else None,
            "lender_sha256": hashlib.sha256(repr(self.lender).encode()).hexdigest() if self.lender else None,
            "settings_sha256": hashlib.sha256(repr(self.writer.config).encode()).hexdigest()
            if self.writer
            else None,
            **to_json(self.style),
            "software": f"lendsafe {__version__}",
        }

    def explain(
        self,
        applications: Sequence[Application],
        *,
        notice_date: date | None = None,
        done: Callable[[int], None] | None = None,
    ) -> list[Outcome]:
        """Decide, explain, and compose the letters if there is a lender.

        Args:
            applications: In any number.
            notice_date: Date of the letters; today if left out.
            done: Called with the number of narratives finished so far.

        Raises:
            DataError: If an application lacks what its letter has to say.
        """
        told = self.narrate(applications, done=done)
        return [self.finish(a, e, notice_date) for a, e in zip(applications, told, strict=True)]

    def assess(self, applications: Sequence[Application]) -> list[Assessment]:
        """Decide every application and rank its reasons; an approval keeps the factors that it may show."""
        decided = self.engine.assess_many([one.applicant for one in applications])
        found = [prompts.shown(one) for one in decided]
        if self._own_score:
            return found
        return [
            replace(assessment, key_factors=one.key_factors or ())
            for one, assessment in zip(applications, found, strict=True)
        ]

    def narrate(
        self, applications: Sequence[Application], *, done: Callable[[int], None] | None = None
    ) -> list[Explanation]:
        """A narrative for each application that passes every check."""
        requests = [Request(one, self.style) for one in self.assess(applications)]
        return checked_narratives(requests, self.writer, done=done)

    def finish(
        self, application: Application, explanation: Explanation, notice_date: date | None = None
    ) -> Outcome:
        """Compose the letter, if there is a lender."""
        day = notice_date or date.today()
        letter = None
        if self.lender and explanation.source != "held":  # a text that waits goes nowhere
            used = self.engine.uses_score
            letter = compose(explanation, application, self.lender, day, score_used=used)
        return Outcome(
            application=application, explanation=explanation, letter=letter, identity=self.identity
        )

    @property
    def _own_score(self) -> bool:
        disclosed = self.lender.score_disclosed if self.lender else self.engine.config.score_disclosed
        return disclosed == "proprietary"


def explain(
    application: Application | Applicant | Mapping[str, Any] | Path | str,
    *,
    risk: Path | str,
    product: Product | Path | str | None = None,
    adapter: Path | str | None = None,
    model: str | None = None,
    lender: NoticeConfig | Path | str | None = None,
    style: Style | None = None,
    notice_date: date | None = None,
) -> Outcome:
    """Decide and explain one application, and compose its letter if a lender is named.

    Many applications share what is loaded: :class:`Explainer`.

    Args:
        application: A JSON file with one application, its values, or a record.
        risk: Folder of the risk model.
        product: Product in use; the one that the model was trained with by default.
        adapter: Run folder; without it and ``model``, the narrative is in the product's fixed words.
        model: A base without adapter, instead.
        lender: TOML file of the lender, or what was read from one.
        style: How the narrative is worded.
        notice_date: Date of the letter; today if left out.

    Raises:
        LendSafeError: If anything is missing, damaged or contradicts something else.
    """
    loaded = Explainer.load(risk, product=product, adapter=adapter, model=model, lender=lender, style=style)
    if isinstance(application, Applicant):
        application = Application(applicant=application, source=to_json(application))
    elif isinstance(application, Mapping):
        application = application_from(application, loaded.product)
    elif not isinstance(application, Application):
        application = only(read_applications(Path(application), loaded.product), str(application))
    return loaded.explain([application], notice_date=notice_date)[0]


def in_use(engine: RiskEngine, product: Product | Path | str | None) -> RiskEngine:
    """The engine with the words of the product in use.

    Raises:
        ConfigError: If that product differs from the one it was trained with in what decides.
    """
    if product is None:
        return engine
    chosen = product if isinstance(product, Product) else load_product(product)
    if chosen.decisive_sha256 != engine.features.product.decisive_sha256:
        raise ConfigError(
            f"The risk model was trained for product '{engine.features.product.name}', which differs from "
            f"'{chosen.name}' in fields, reasons or policy. Train again with the product in use."
        )
    features = replace(engine.features, product=chosen)
    return replace(engine, features=features, policy=Policy(features))


def only(applications: Sequence[Application], where: str) -> Application:
    """The one application of a file.

    Raises:
        DataError: If there are more.
    """
    if len(applications) != 1:
        raise DataError(f"{where}: {len(applications)} applications; expected one. For many, give --out.")
    return applications[0]


def compose(
    explanation: Explanation,
    application: Application,
    lender: NoticeConfig,
    notice_date: date,
    *,
    score_used: bool = False,
) -> Letter:
    """Compose a letter and refuse one that lacks anything; one that is late says so (:attr:`Letter.late`).

    Args:
        explanation: Narrative that passed every check, with the assessment that it explains.
        application: Whom it is about.
        lender: Whom the letter comes from.
        notice_date: Date of the letter.
        score_used: Whether the model or the policy looks at the bureau's score.

    Raises:
        DataError: If the application lacks what its letter has to say, or the validator finds something.
        ConfigError: If the lender's file lacks it.
    """
    where = f"Application {application.id}:"
    if wrong := lacking(application):
        raise DataError(wrong)
    assert application.received is not None
    try:
        dates = Dates(received=application.received, completed=application.completed, notice=notice_date)
        told = grounds(explanation.assessment, application, lender, notice_date, score_used=score_used)
        letter = notice.compose(told, explanation.text, lender, dates)
    except DataError as problem:
        raise DataError(f"{where} {problem}") from problem
    if found := [one for one in notice.validate(letter) if (one.rule, one.fact) != _LATE]:
        listed = "; ".join(f"{one.rule}: {one.message}" for one in found)
        raise DataError(f"{where} the letter is not complete: {listed}.")
    return letter


def lacking(application: Application) -> str:
    """What an application lacks for a letter of any kind, in a sentence; empty if nothing."""
    absent = [name for name in ("contact", "received") if getattr(application, name) is None]
    return f"Application {application.id}: a letter needs '{absent[0]}', and there is none." if absent else ""


def keep(outcome: Outcome, folder: Path, renderings: Mapping[str, bytes | str]) -> str:
    """Put a letter, and all that it was made from, on record; returns the record's id.

    Raises:
        ConfigError: If there is no letter.
        DiskError: If the disk fails.
    """
    if outcome.letter is None:
        raise ConfigError("There is no letter to put on record: name the lender that it comes from.")
    papers = {
        "application": outcome.application.source,
        "assessment": to_json(outcome.explanation.assessment),
        "provenance": {**outcome.to_json(), "law": law.links(outcome.letter)},
    }
    return notice.record(folder, outcome.letter, papers, renderings)


def ending(path: Path) -> str:
    """The medium that a file's ending names.

    Raises:
        ConfigError: If it names none.
    """
    if (name := path.suffix.lstrip(".").lower()) not in RENDERERS:
        raise ConfigError(f"{path}: a letter is written as {', '.join('.' + one for one in RENDERERS)}.")
    return name


def render(letter: Letter, medium: str) -> bytes | str:
    """The letter as ``pdf``, ``html``, ``txt`` or ``eml``."""
    return RENDERERS[medium](letter)


def _factor(assessment: Assessment, reason: Reason, *, adverse: bool) -> dict[str, Any]:
    code = assessment.applicant.product.reasons[reason.code]
    return {
        "code": reason.code,
        "statement": code.statement if adverse else code.favorable,
        "strength": reason.strength,
        "contribution": round(reason.contribution, 6),
        "knockout": reason.knockout,
    }


def _letter(letter: Letter) -> dict[str, Any]:
    return {
        "kind": letter.case.kind,
        "notice_date": letter.case.dates.notice.isoformat(),
        "deadline": letter.case.deadline and letter.case.deadline.isoformat(),
        "late": letter.late,
        "retain_until": letter.retain_until.isoformat(),
        "specimen": letter.case.config.specimen,
        "input_sha256": letter.input_sha256,
    }
