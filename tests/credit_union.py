"""A small credit union's files: columns, status words and reasons of its own, on which the outcome depends."""

import csv
import random
from functools import cache
from pathlib import Path

HEADER = (
    "LoanNo", "AppDate", "Score", "Yearly Pay", "DebtPerMonth", "Requested", "Months", "Use", "JobYears",
    "Late_24M", "UsedPct", "MemberYrs", "NSF12M", "PayrollHere", "Sex", "PostCode", "Age", "Status",
)  # fmt: skip
USES = ("Auto - New", "Debt Consol", "Home Impr", "Vacation")


def rows(n: int, seed: int = 3, *, past: bool = True) -> list[dict[str, str]]:
    draw = random.Random(seed)
    made = []
    for number in range(n):
        score, late, nsf = (
            draw.randrange(520, 830),
            draw.choice((0, 0, 0, 1, 2)),
            draw.choice((0, 0, 0, 1, 3)),
        )
        pay, debt, used = draw.randrange(24, 150) * 1000, draw.randrange(200, 3000), draw.random() * 99
        years = draw.randrange(0, 25)
        risk = (680 - score) / 60 + late + 0.7 * nsf + used / 40 + 24 * debt / pay - years / 12 - 1.6
        bad = draw.random() < 1 / (1 + 2.718281828**-risk)
        status = draw.choice(("Charged Off", "Late (31-120)")) if bad else draw.choice(("Paid", "paid"))
        if draw.random() < 0.1:
            status = "Current"
        made.append(
            {
                "LoanNo": f"{'L' if past else 'N'}{seed}{number:05d}",
                "AppDate": f"{draw.randrange(1, 13):02d}/{draw.randrange(1, 29):02d}/"
                f"{draw.choice((2024, 2025)) if past else 2026}",
                "Score": "" if draw.random() < 0.03 else str(score),
                "Yearly Pay": f"${pay:,}",
                "DebtPerMonth": f"{debt:.2f}",
                "Requested": f"{draw.randrange(2, 80) * 500:,}.00",
                "Months": f"{draw.choice((24, 36, 48, 60))} mo",
                "Use": draw.choice(USES),
                "JobYears": draw.choice(("< 1 year", "1 year", "4 years", "10+ years", "-")),
                "Late_24M": str(late),
                "UsedPct": f"{used:.1f}%",
                "MemberYrs": str(years),
                "NSF12M": str(nsf),
                "PayrollHere": draw.choice("YN"),
                "Sex": draw.choice("MF"),
                "PostCode": f"43{draw.randrange(100, 999)}",
                "Age": str(draw.randrange(20, 80)),
                "Status": status,
            }
        )
    return made


@cache
def past(n: int = 2_500, seed: int = 3) -> tuple[dict[str, str], ...]:
    return tuple(rows(n, seed))


def new(n: int = 20, seed: int = 9) -> list[dict[str, str]]:
    """New applications: no status, and whom to write to."""
    made = []
    for number, row in enumerate(rows(n, seed, past=False)):
        row = {name: cell for name, cell in row.items() if name != "Status"}
        made.append(
            row
            | {
                "ApplicantName": f"Member {number}",
                "Street": f"{number} Elm St",
                "CityStZip": f"Columbus, OH 43{number:03d}",
            }
        )
    return made


def write(
    path: Path,
    table: list[dict[str, str]] | tuple[dict[str, str], ...],
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(table[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(table)
    return path
