"""Fields that no model may look at: prohibited bases and what stands close to one, by name and by values.

12 CFR 1002.2(z) names the bases; 1002.6(b) what may be considered of age, marital status, children and
telephone listings. A name is read in any case and style; an override is a recorded statement of a person.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lendsafe.product.concepts import parts

if TYPE_CHECKING:
    from lendsafe.product.model import Product

# basis -> whole parts of a name; then beginnings that betray it inside a word run together
WORDS = {
    "sex": ("sex", "gender", "male", "female", "woman", "women", "man", "men", "f_m", "m_f"),
    "race, color or national origin": (
        "race", "racial", "ethnic", "ethnicity", "black", "white", "asian", "hispanic", "hispan", "latino", "latina",
        "afam", "african", "native", "nationality", "national", "origin", "foreign", "foreigner", "citizen",
        "citizenship", "immigrant", "immigration", "color", "minority", "language", "lang", "tribe", "caste",
    ),
    "religion": ("religion", "religious", "faith", "church"),
    "marital status": (
        "marital", "marriage", "married", "divorced", "widowed", "spouse", "personal_status", "civil_status",
    ),
    "age": ("age", "ages", "birth", "birthdate", "birthday", "dob", "yob", "born", "birthyear", "elderly"),
    "children or family": (
        "dependents", "dependants", "dependent", "dep", "deps", "liable", "people_liable", "children", "kids",
        "pregnant", "pregnancy", "maternity", "childcare", "family", "household_size", "dependencies",
    ),
    "public assistance": ("welfare", "assistance", "snap", "tanf", "ssi", "disability", "food_stamps", "public_aid"),
    "disability": ("disabled", "handicap", "handicapped"),
    "a telephone listing": ("telephone", "phone", "landline"),
    "where a person lives": (
        "zip", "zip3", "zip5", "zipcode", "postcode", "postal", "county", "tract", "census", "neighborhood", "msa",
        "addr_state", "state_of_residence", "city", "school", "university", "college",
    ),
    "a name": ("surname", "lastname", "last_name", "firstname", "first_name", "maiden"),
}  # fmt: skip
STEMS = {
    "sex": ("gender",),
    "race, color or national origin": (
        "hispan",
        "ethnic",
        "racial",
        "nationalit",
        "immigra",
        "citizens",
        "foreignwork",
    ),
    "religion": ("religio",),
    "marital status": ("marital", "marriag", "married", "divorc"),
    "age": ("birthd", "dateofbirth", "custage", "applicantage", "borrowerage", "ageyears", "ageinyears"),
    "children or family": ("dependent", "dependant", "pregnan", "children", "liable"),
    "where a person lives": ("zipcode", "postcode", "censustract"),
}
# An age that is not a person's.
_THINGS = frozenset(
    ("account", "accounts", "acct", "accts", "trade", "trades", "tradeline", "credit", "file", "vehicle", "car",
     "collateral", "loan", "oldest", "newest", "history", "line", "lines", "average", "avg", "mortgage", "property",
     "building", "house", "report", "inquiry")
)  # fmt: skip
VALUES = {
    "sex": {"m", "f", "male", "female", "man", "woman"},
    "marital status": {"married", "single", "divorced", "widowed", "separated", "unmarried"},
    "race, color or national origin": {
        "white",
        "black",
        "asian",
        "hispanic",
        "other",
        "latino",
        "african american",
    },
}
_TELLING = {"sex": 2, "marital status": 2, "race, color or national origin": 3}  # so many of them betray it


def basis_of_name(name: str) -> str:
    """The basis that a column's name betrays; empty if none."""
    tokens = parts(name)
    plain, run = f"_{'_'.join(tokens)}_", "".join(tokens)
    for basis, words in WORDS.items():
        if any(f"_{word}_" in plain for word in words) and not _of_a_thing(basis, tokens):
            return basis
    for basis, stems in STEMS.items():
        if any(stem in run for stem in stems) and not _of_a_thing(basis, tokens):
            return basis
    return ""


def basis_of_values(values: Sequence[str]) -> str:
    """The basis that the texts of a column betray; empty if none."""
    plain = {one.strip().lower() for one in values if one.strip()}
    if len(plain) < 2:
        return ""
    return next(
        (
            basis
            for basis, known in VALUES.items()
            if plain <= known and len(plain & known) >= _TELLING[basis]
        ),
        "",
    )


def refused(product: "Product") -> Iterator[tuple[str, str]]:
    """Features and inputs of features that betray a basis, each with what is wrong.

    A field is let through only by an entry under ``[[overrides]]`` with a name, a reason and a date.
    """
    over = {one.field for one in product.overrides}
    for one in product.features:
        for name in sorted(product.inputs(one.name)):
            field = product.fields[name]
            if name in over or one.name in over:
                continue
            basis = next(filter(None, map(basis_of_name, (name, *field.columns))), "")
            basis = basis or basis_of_values([*field.levels, *map(str, field.map)])
            if field.role == "protected":
                basis = basis or "a protected field"
            if basis:
                yield (
                    one.name,
                    (
                        f"looks like {basis} (12 CFR 1002.2(z), 1002.6(b)) and cannot be a feature; give it role = "
                        '"protected", or state under [[overrides]] who decided otherwise, why and when'
                    ),
                )


def _of_a_thing(basis: str, tokens: Sequence[str]) -> bool:
    return basis == "age" and bool(_THINGS & set(tokens))
