"""Pictures of a model report as inline SVG: no script, no network, an alternative text each.

Colours are two of Okabe and Ito's, told apart by people who see colours differently; what is drawn
in the second one is dashed or hatched by shape as well.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from lendsafe.risk.appraisal.metrics import Bin, Interval
from lendsafe.risk.appraisal.records import Histogram, Performance

WIDTH, HEIGHT = 460.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 14.0, 24.0, 44.0
WIDE, ROW, LABEL = 760.0, 26.0, 330.0  # of a chart with one row per name
LETTER = 6.0  # about the width of a letter, in units of the picture


class Axes:
    """A plot area: data coordinates in, SVG elements out.

    Args:
        x: Smallest and largest value on the horizontal axis.
        y: The same on the vertical axis.
        labels: What the axes show.
    """

    def __init__(self, x: tuple[float, float], y: tuple[float, float], labels: tuple[str, str]) -> None:
        self._x, self._y = x, y
        self._parts: list[str] = []
        for tick in ticks(*y):
            at = self.y(tick)
            self._parts += [
                _line(LEFT, at, WIDTH - RIGHT, at, "grid"),
                _text(LEFT - 6, at + 4, number(tick), "end"),
            ]
        for tick in ticks(*x):
            self._parts.append(_text(self.x(tick), HEIGHT - BOTTOM + 16, number(tick), "middle"))
        self._parts.append(_line(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, "axis"))
        self._parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, labels[0], "middle"))
        middle = (TOP + HEIGHT - BOTTOM) / 2
        self._parts.append(
            f'<text transform="translate(13 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(labels[1])}</text>'
        )

    def x(self, value: float) -> float:
        """Horizontal position of a value."""
        low, high = self._x
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        """Vertical position of a value."""
        low, high = self._y
        return (HEIGHT - BOTTOM) - (HEIGHT - BOTTOM - TOP) * (value - low) / ((high - low) or 1)

    def path(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> None:
        """A line through points."""
        points = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        self._parts.append(f'<polyline class="{kind}" points="{points}"/>')

    def bar(self, left: float, right: float, low: float, high: float, kind: str) -> None:
        """A bar with a hair of space on both sides."""
        x, y = self.x(left) + 0.7, self.y(high)
        width, height = self.x(right) - x - 0.7, self.y(low) - y
        if height > 0:
            self._parts.append(
                f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"/>'
            )

    def point(self, x: float, y: float, low: float, high: float) -> None:
        """A point with its interval."""
        at = self.x(x)
        self._parts += [
            _line(at, self.y(low), at, self.y(high), "whisker"),
            f'<circle class="dot" cx="{at:.1f}" cy="{self.y(y):.1f}" r="3.5"/>',
        ]

    def upright(self, x: float, label: str) -> None:
        """A dashed upright line with a label at its top."""
        at = self.x(x)
        right = at > WIDTH * 0.6
        self._parts += [
            _line(at, TOP, at, HEIGHT - BOTTOM, "mark"),
            _text(at - 5 if right else at + 5, TOP + 10, label, "end" if right else "start"),
        ]

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Names of what is drawn, above the plot at the right."""
        at = WIDTH - RIGHT
        for kind, name in reversed(entries):
            at -= LETTER * len(name)
            self._parts.append(_text(at, TOP - 10, name, "start"))
            self._parts.append(
                f'<rect class="{kind}" x="{at - 14:.1f}" y="{TOP - 19:.1f}" width="10" height="10"/>'
            )
            at -= 26

    def svg(self, alt: str) -> Markup:
        """The picture."""
        return _svg(WIDTH, HEIGHT, alt, self._parts)


def roc(performance: Performance) -> Markup:
    """True over false positive rate, with the diagonal of a model that knows nothing."""
    axes = Axes((0, 1), (0, 1), ("Share of repaid loans declined", "Share of defaults declined"))
    axes.path([0, 1], [0, 1], "reference")
    axes.path(performance.false_positive, performance.true_positive, "model")
    auc = performance.model.auc
    return axes.svg(
        f"ROC curve: area {auc.value:.3f}, 95% interval {_span(auc, 3)}; 0.5 is a model that knows nothing."
    )


def calibration(bins: Sequence[Bin]) -> Markup:
    """Observed over predicted share of defaults in bins, with intervals."""
    wide = min(1.0, 1.1 * max(b.predicted for b in bins))
    high = min(1.0, 1.05 * max(max(b.high, b.predicted) for b in bins))
    axes = Axes((0, wide), (0, high), ("Predicted probability of default", "Observed share of defaults"))
    axes.path([0, min(wide, high)], [0, min(wide, high)], "reference")
    for b in bins:
        axes.point(b.predicted, b.observed, b.low, b.high)
    outside = sum(not b.low <= b.predicted <= b.high for b in bins)
    return axes.svg(
        f"Calibration in {len(bins)} bins from {bins[0].predicted:.2f} to {bins[-1].predicted:.2f} predicted: "
        f"in {outside} of them the prediction lies outside the interval of the observed share."
    )


def scores(histogram: Histogram, cutoff: float) -> Markup:
    """Points of applications, stacked by outcome, with the cut-off."""
    edges = histogram.edges
    kinds = [("repaid", "repaid", "repaid"), ("defaulted", "defaulted", "defaulted")]
    kinds = [k for k in kinds if any(getattr(histogram, k[0]))]
    if any(histogram.not_known):
        kinds.append(("not_known", "unknown", "outcome not known"))
    totals = [sum(parts) for parts in zip(*(getattr(histogram, k[0]) for k in kinds), strict=True)]
    axes = Axes(
        (min(edges[0], cutoff), max(edges[-1], cutoff)),
        (0, 1.14 * max(totals)),
        ("Score, points", "Applications"),
    )
    below = [0] * len(totals)
    for name, kind, _ in kinds:
        for i, count in enumerate(getattr(histogram, name)):
            axes.bar(edges[i], edges[i + 1], below[i], below[i] + count, kind)
            below[i] += count
    axes.legend([(kind, label) for _, kind, label in kinds])
    axes.upright(cutoff, f"cut-off {cutoff:.0f}")
    share = sum(t for t, left in zip(totals, edges[:-1], strict=True) if left >= cutoff) / max(sum(totals), 1)
    return axes.svg(
        f"Distribution of scores from {edges[0]:.0f} to {edges[-1]:.0f} points; about {share:.0%} of "
        f"applications are above the cut-off of {cutoff:.0f}."
    )


def bars(rows: Sequence[tuple[str, int, int]], total: int, names: tuple[str, str]) -> Markup:
    """Counts by name out of a total, with the part that is darker in each.

    Args:
        rows: Name, count, and the part of it that is darker.
        total: What 100 % is.
        names: Of the dark and of the light part.
    """
    height = ROW * len(rows) + 34
    scale = (WIDE - LABEL - 90) / max(max(r[1] for r in rows) / total, 0.01)
    parts = []
    for i, (name, count, dark) in enumerate(rows):
        y = 26 + ROW * i
        parts += [
            _text(LABEL - 8, y + 14, shortened(name, LABEL - 12), "end"),
            f'<rect class="light" x="{LABEL}" y="{y + 2:.1f}" width="{scale * count / total:.1f}" height="17"/>',
            f'<rect class="dark" x="{LABEL}" y="{y + 2:.1f}" width="{scale * dark / total:.1f}" height="17"/>',
            _text(
                LABEL + scale * count / total + 6,
                y + 14,
                f"{count / total:.0%} ({dark / total:.0%})",
                "start",
            ),
        ]
    for kind, name, x in (
        ("dark", names[0], LABEL),
        ("light", names[1], LABEL + 40 + LETTER * len(names[0])),
    ):
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="4" width="10" height="10"/>')
        parts.append(_text(x + 15, 13, name, "start"))
    listed = "; ".join(f"{name} {count / total:.0%}, first {dark / total:.0%}" for name, count, dark in rows)
    return _svg(WIDE, height, f"Share of declined applications by reason: {listed}.", parts)


def intervals(rows: Sequence[tuple[str, Interval]], marks: Sequence[tuple[float, str]], what: str) -> Markup:
    """A value with its interval per name, against upright marks."""
    numbers_ = [v for _, one in rows for v in (one.low, one.high)] + [m for m, _ in marks]
    low, high = min(numbers_), max(numbers_)
    pad = 0.06 * (high - low or 1)
    low, high = low - pad, high + pad
    width, height = WIDE, ROW * len(rows) + 66

    def x(value: float) -> float:
        return LABEL + (width - LABEL - 150) * (value - low) / (high - low)

    parts = []
    for tick in ticks(low, high):
        parts += [
            _line(x(tick), 24, x(tick), height - 38, "grid"),
            _text(x(tick), height - 22, number(tick), "middle"),
        ]
    for value, name in marks:
        parts += [_line(x(value), 18, x(value), height - 38, "mark"), _text(x(value), 13, name, "middle")]
    for i, (name, one) in enumerate(rows):
        y = 26 + ROW * i + 12
        parts += [
            _text(LABEL - 12, y + 4, shortened(name, LABEL - 16), "end"),
            _line(x(one.low), y, x(one.high), y, "whisker"),
            f'<circle class="dot" cx="{x(one.value):.1f}" cy="{y:.1f}" r="4"/>',
            _text(width - 136, y + 4, f"{one.value:.2f} [{_span(one)}]", "start"),
        ]
    parts.append(_text((LABEL + width - 150) / 2, height - 6, what, "middle"))
    listed = "; ".join(f"{name} {one.value:.2f}, 95% interval {_span(one)}" for name, one in rows)
    return _svg(width, height, f"{what}: {listed}.", parts)


def ticks(low: float, high: float) -> list[float]:
    """Round values between two ends, four to nine of them."""
    span = high - low
    if span <= 0:
        return [low]
    step = 10.0 ** int(f"{span:e}".split("e")[1])
    step = next(step * part for part in (1, 0.5, 0.2, 0.1) if span / (step * part) >= 4)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(step * i, 10) for i in range(first, last + 1)]


def number(value: float) -> str:
    """A tick's label: ``0.25``, ``1,000``."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:g}"


def shortened(text: str, width: float) -> str:
    """A text that fits a width, cut at the end if it must be; the table beside the picture has it whole."""
    most = int(width / LETTER)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _span(one: Interval, digits: int = 2) -> str:
    return f"{one.low:.{digits}f} to {one.high:.{digits}f}"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, alt: str, parts: Sequence[str]) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704  # every text in it went through `escape`
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(alt)}">'
        f"<title>{escape(alt)}</title>{body}</svg>"
    )
