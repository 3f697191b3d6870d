"""Bar charts, computed here and drawn by the browser from plain SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log10
from typing import Final

#: The width of a bar with its gap, the gap, and the height of the highest bar, in units of the drawing.
_STEP: Final = 10
_GAP: Final = 2
HEIGHT: Final = 100
#: The least height of a bar, so that one change beside ten thousand can still be seen.
_LEAST: Final = 1.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, or one part of a stacked bar."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars in a drawing ``width`` wide and `HEIGHT` high; its upper edge has the value ``top``."""

    bars: tuple[Bar, ...]
    width: int
    top: int


def chart(columns: Sequence[Sequence[tuple[str, int]]]) -> Chart:
    """One stacked bar for each column; each part has a kind, which is its CSS class, and a number."""
    top = _round_up(max((sum(number for _, number in column) for column in columns), default=0))
    bars = []
    for position, column in enumerate(columns):
        stands_on: float = HEIGHT
        for kind, number in column:
            if number:
                height = max(_LEAST, number / top * HEIGHT)
                stands_on -= height
                bars.append(Bar(kind, position * _STEP + _GAP / 2, round(stands_on, 2), _STEP - _GAP, round(height, 2)))
    return Chart(tuple(bars), len(columns) * _STEP, top)


def _round_up(number: int) -> int:
    """The next round number, for the top of a scale."""
    if number <= 10:
        return max(number, 1)
    power = 10 ** int(log10(number))
    return int(next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if ceil(step * power) >= number))
