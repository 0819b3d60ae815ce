"""The deterministic narrative: what is said when no generated one passes every check.

One fixed wording for each factor, each strength and each register. It names the factors of
``lendsafe.prompts`` in their order, shows their facts as slots, and says nothing else about them,
so it passes the checks by construction.
"""

from lendsafe import slots
from lendsafe.errors import DataError
from lendsafe.records import Assessment, Reason, Register, Style

# code -> (when it is adverse, when it helps, the sentence that shows its facts)
_FACTORS: dict[str, tuple[str, str, str]] = {
    "delinquency": (
        "late payments on other accounts",
        "your record of payments made on time",
        "Your credit report shows {delinquencies_24m}.",
    ),
    "bankruptcy": (
        "a bankruptcy on file",
        "no bankruptcy on file",
        "Your credit report shows {bankruptcies}.",
    ),
    "collections": (
        "a collection action or judgment on file",
        "no collection action or judgment on file",
        "Your credit report shows {collections}.",
    ),
    "debt_to_income": (
        "a high level of debt in relation to income",
        "a moderate level of debt in relation to income",
        "Your debt payments take {debt_to_income} of your income.",
    ),
    "income_for_amount": (
        "income that is low for the amount of the loan",
        "income that is sufficient for the amount of the loan",
        "You earn {annual_income} a year and asked for {loan_amount}.",
    ),
    "utilization": (
        "high revolving balances in relation to their limits",
        "low revolving balances in relation to their limits",
        "Your balances use {revolving_utilization} of your limits.",
    ),
    "inquiries": (
        "the high number of recent credit inquiries",
        "the low number of recent credit inquiries",
        "Your credit report shows {inquiries_6m}.",
    ),
    "new_accounts": (
        "the high number of recently opened accounts",
        "the low number of recently opened accounts",
        "Your credit report shows {accounts_opened_24m}.",
    ),
    "credit_history": (
        "a short credit history",
        "a long credit history",
        "Your oldest account has been open for {oldest_account_months}.",
    ),
    "employment_length": (
        "a short time in your present job",
        "a long time in your present job",
        "You have worked there for {employment_months}.",
    ),
    "unverified_income": ("income that we could not verify", "income that we could verify", ""),
    "no_credit_file": ("the lack of a credit file", "an available credit file", ""),
}

_OPENINGS: dict[str, dict[Register, str]] = {
    "approved": {
        "plain": "We have approved your request for {loan_amount}.",
        "formal": "The request for {loan_amount} has been approved.",
        "warm": "Thank you for your request for {loan_amount}. We are happy to say that we have approved it.",
    },
    "declined": {
        "plain": "We have declined your request for {loan_amount}.",
        "formal": "We are unable to approve the request for {loan_amount}.",
        "warm": "Thank you for your request for {loan_amount}. We are sorry that we cannot approve it.",
    },
    "counteroffer": {
        "plain": "We cannot approve {loan_amount}. "
        "We can make a counteroffer, a smaller loan of {counteroffer_amount}.",
        "formal": "We are unable to approve {loan_amount}. "
        "We make a counteroffer instead, a smaller loan of {counteroffer_amount}.",
        "warm": "Thank you for your request for {loan_amount}. We cannot approve all of it. "
        "We are happy to make a counteroffer, a smaller loan of {counteroffer_amount}.",
    },
    "incomplete": {
        "plain": "We cannot decide on your request for {loan_amount} yet, as the application is incomplete.",
        "formal": "No decision on the request for {loan_amount} has been made, "
        "as the application is incomplete.",
        "warm": "Thank you for your request for {loan_amount}. "
        "We cannot decide yet, as the application is incomplete.",
    },
}

_REVIEW: dict[Register, str] = {
    "plain": "We read the whole application and weighed the request as it stands today.",
    "formal": "The application was read in full, and the request was weighed as it stands today.",
    "warm": "We took our time, read the whole application, and weighed the request as it stands today.",
}

# decision -> what announces the factors, for one and for several
_LEADS: dict[str, tuple[str, str]] = {
    "approved": ("Here is what counted in your favor.", "Here is what counted in your favor."),
    "declined": ("The main reason is given here.", "The main reasons are given here, in order of weight."),
    "counteroffer": (
        "The main reason why we cannot lend the full amount is given here.",
        "The main reasons why we cannot lend the full amount are given here, in order of weight.",
    ),
}

_WEIGHTS: dict[str, dict[str, str]] = {
    "adverse": {"strong": "A major reason", "moderate": "A clear reason", "slight": "A smaller reason"},
    "against": {"strong": "A major concern", "moderate": "A clear concern", "slight": "A smaller concern"},
    "favorable": {
        "strong": "A major strength",
        "moderate": "A clear strength",
        "slight": "A smaller strength",
    },
}

# Added in turn while the narrative is short.
_CLOSINGS: dict[Register, tuple[str, ...]] = {
    "plain": (
        "We list the facts so that you can check them against your own records.",
        "If any fact here looks wrong, please let us know.",
        "The decision is about this request only.",
        "We look at each request by itself, and we take the time that it needs.",
    ),
    "formal": (
        "The facts above come from the application and the records we had.",
        "Please contact us if any fact stated here is not correct.",
        "No other request is affected by this decision.",
        "Each request is looked at by itself, with the time that it needs.",
    ),
    "warm": (
        "If anything here looks wrong to you, please let us know.",
        "We are glad to talk through any part of this with you.",
        "Thank you again for coming to us.",
        "We look at each request by itself, and we take the time that it needs.",
    ),
}

_TURN = ("This point weighed against the request.", "These points weighed against the request.")
_ENOUGH_WORDS = 78  # far enough above 60 whatever the facts
_MANY = 6  # with more factors than this, only the decision stands before them

# Fields of Applicant as a person would call them; each holds the word of its field that the checks look for.
_ITEMS = {
    "loan_amount": "the amount you ask for",
    "annual_income": "your yearly income",
    "income_verified": "verified proof of your income",
    "employment_months": "the length of your present employment",
    "debt_to_income": "your monthly debt payments and income",
    "delinquencies_24m": "any recent delinquencies",
    "collections": "any collections or judgments",
    "bankruptcies": "any bankruptcies",
    "inquiries_6m": "recent credit inquiries",
    "oldest_account_months": "the age of your oldest account",
    "accounts_opened_24m": "recently opened accounts",
    "revolving_utilization": "the utilization of your revolving limits",
}


def template(assessment: Assessment, style: Style) -> str:
    """The narrative of any decision, facts as slots; the same for the same arguments.

    Args:
        assessment: What to explain.
        style: The register picks the wording; detail decides whether an approval shows what
            weighed against it.

    Returns:
        60 to 180 words.

    Raises:
        DataError: If a decline or counteroffer has no reason, or a counteroffer no amount.
    """
    _refuse_without_grounds(assessment)
    known = set(slots.facts(assessment))
    opening, review = _OPENINGS[assessment.decision][style.register], _REVIEW[style.register]
    if assessment.decision == "incomplete":
        return _closed([opening, *_request_for(assessment.missing)], style.register)
    body = _body(assessment, style, known)
    if len(body) > _MANY:
        return _closed([_OPENINGS[assessment.decision]["plain"], *body], style.register)
    lead = [_LEADS[assessment.decision][len(body) > 1]] if body else []
    return _closed([opening, review, *lead, *body], style.register)


def _refuse_without_grounds(assessment: Assessment) -> None:
    if assessment.decision in ("declined", "counteroffer") and not assessment.reasons:
        raise DataError(
            f"A decision '{assessment.decision}' needs at least one reason (12 CFR 1002.9(b)(2))."
        )
    if assessment.decision == "counteroffer" and assessment.counteroffer_amount is None:
        raise DataError("A counteroffer needs 'counteroffer_amount'.")


def _body(assessment: Assessment, style: Style, known: set[str]) -> list[str]:
    if assessment.decision != "approved":
        return [_block(factor, "adverse", known) for factor in assessment.reasons]
    body = [_block(factor, "favorable", known) for factor in assessment.strengths]
    if style.detail == "detailed" and assessment.reasons:
        against = [_block(factor, "against", known) for factor in assessment.reasons]
        body += [f"{_TURN[len(against) > 1]} {against[0]}", *against[1:]]
    return body


def _block(factor: Reason, side: str, known: set[str]) -> str:
    adverse, favorable, fact = _FACTORS[factor.code]
    sentence = f"{_WEIGHTS[side][factor.strength]} is {favorable if side == 'favorable' else adverse}."
    return f"{sentence} {fact}" if fact and known.issuperset(slots.names(fact)) else sentence


def _request_for(missing: tuple[str, ...]) -> list[str]:
    items = [_ITEMS.get(name, name.replace("_", " ")) for name in missing]
    if not items:
        return ["Some of the details that we need are missing."]
    several = f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else items[0]
    return [
        f"We still need these details from you: {several}.",
        "We will look at the request once we have them.",
    ]


def _closed(sentences: list[str], register: Register) -> str:
    for closing in _CLOSINGS[register]:
        if len(" ".join(sentences).split()) >= _ENOUGH_WORDS:
            break
        sentences.append(closing)
    return " ".join(sentences)
