"""Numbers and verdicts as people read them."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from components.evaluator.verdict import Rule
from components.run_report.parts import ClassMetrics

NONE = "\N{EN DASH}"  # where there is no value
_MINUS = "\N{MINUS SIGN}"

_VERDICTS = {
    "pushed": "Pushed",
    "refused": "Refused",
    "unchanged": "Unchanged",
    "failed": "Failed",
    "running": "Running",
}
_SIGNS = {"pushed": "✓", "refused": "✕", "unchanged": "=", "failed": "!", "running": "…"}


def printable(value: Any) -> Any:
    """Shows control characters and lone surrogates by their escapes; the rest stays as it is."""
    if type(value) is not str or value.isprintable():
        return value
    return "".join(_shown(character) for character in value)


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs"):
        return character
    return character.encode("unicode_escape").decode()


def share(value: float | None, digits: int = 1) -> str:
    """0.8853 as 88.5 %; only nothing is 0.0 %, and only all is 100.0 %."""
    if value is None:
        return NONE
    least, shown = 10**-digits, round(100 * value, digits)
    sign = ""
    if value > 0 and shown < least:
        sign, shown = "< ", least
    elif value < 1 and shown > 100 - least:
        sign, shown = "> ", 100 - least
    return f"{sign}{shown:.{digits}f}\N{NO-BREAK SPACE}%".replace(" ", "\N{NO-BREAK SPACE}")


def points(value: float | None) -> str:
    """A difference of shares, 0.0123 as +1.2 points."""
    return NONE if value is None else f"{100 * value:+.1f}".replace("-", _MINUS)


def number(value: float | None, digits: int = 4) -> str:
    """A measure: whole numbers with their thousands apart, others rounded, but never to 0."""
    if value is None:
        return NONE
    if float(value).is_integer() and abs(value) >= 2:
        return count(int(value))
    if 0 < abs(value) < 0.5 * 10**-digits:
        return f"{value:.1e}".replace("-", _MINUS)
    return f"{value:,.{min(digits, 2) if abs(value) >= 2 else digits}f}".replace("-", _MINUS)


def measured(rule: Rule) -> str:
    """A rule's value, with as many digits as tell it from a bound that it does not meet."""
    if rule.value is None or rule.passed:
        return number(rule.value)
    edge = re.search(r"-?\d+(?:\.\d+)?(?:e-?\d+)?$", str(rule.bound))
    digits = 2 if abs(rule.value) >= 2 else 4
    if edge is not None and round(rule.value, digits) == float(edge[0]) != rule.value:
        return f"{rule.value:.9g}".replace("-", _MINUS)
    return number(rule.value)


def signed(bounds: tuple[float, float] | None) -> str:
    """Two differences of a measure as -0.0041 to +0.0213."""
    if bounds is None:
        return NONE
    return " to ".join(f"{bound:+.4f}" for bound in bounds).replace("-", _MINUS)


def count(value: int | None) -> str:
    """12345 as 12,345."""
    return NONE if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """9.3 s, 41 s, 2 min 05 s, 1 h 02 min."""
    if seconds is None:
        return NONE
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def interval(bounds: tuple[float, float] | None) -> str:
    """Two shares as 86.1 to 91.0 %."""
    if bounds is None:
        return NONE
    return f"{100 * bounds[0]:.1f} to {100 * bounds[1]:.1f}\N{NO-BREAK SPACE}%"


def pointed(bounds: tuple[float, float] | None) -> str:
    """Two differences of shares as -0.4 to +2.1."""
    return NONE if bounds is None else f"{points(bounds[0])} to {points(bounds[1])}"


def shortened(text: str, longest: int) -> str:
    """Writes a user's text in one line of a figure, and cuts it where it is too long."""
    line = str(printable(" ".join(text.split())))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def verdict(name: str) -> str:
    """The verdict as a heading."""
    return _VERDICTS[name]


def sign(name: str) -> str:
    """A sign for the verdict, beside its colour."""
    return _SIGNS[name]


def failed_first(rules: Iterable[Rule]) -> list[Rule]:
    """Bounds that were not met come first, each kind in the order of the configuration."""
    return sorted(rules, key=lambda rule: rule.passed)


def slice_names(slices: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    """Slices with the least accuracy first; those without come last."""
    return sorted(slices, key=lambda name: (_or_last(slices[name].get("accuracy")), name))


def _or_last(value: float | None) -> float:
    return float("inf") if value is None else value


def weakest_first(classes: Iterable[ClassMetrics]) -> list[ClassMetrics]:
    """The least recall first; classes without one come last."""
    return sorted(classes, key=lambda one: (_or_last(one.recall), one.label))


def most_first(counts: Mapping[str, int]) -> list[str]:
    """Names by their counts, the largest first."""
    return sorted(counts, key=lambda name: (-counts[name], name))


def tenths(images: int, total: int) -> int:
    """How dark a cell is: 0 for none, else 1 to 10 by its share of the total."""
    return 0 if images == 0 else max(1, round(10 * images / total))


FILTERS = {
    function.__name__: function
    for function in (
        *(count, duration, interval, measured, number, pointed, points, share, sign, signed),
        verdict,
    )
}
