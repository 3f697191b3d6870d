"""What the races gave: ratios to the floor of the same run, growth over sizes, as a table, as JSON, as Markdown."""

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from math import log
from pathlib import Path
from statistics import linear_regression, median
from typing import Any, Final

from .racing import Result

_MARKS: Final = ("<!-- benchmarks begin -->", "<!-- benchmarks end -->")
HEADS: Final = ("Measure", "MIS", "State", "Rows", "What", "Median", "Ratio to the floor", "Peak", "Above the floor")


@dataclass(frozen=True, slots=True)
class Measured:
    """One contender of one race."""

    measure: str
    source: str
    state: str
    rows: int
    """How many learners the MIS has."""
    contender: str
    is_floor: bool
    seen: int
    """How much it saw or did in a round: it was checked after each."""
    seconds: tuple[float, ...]
    median_seconds: float
    ratio: float
    """The median over the rounds of its seconds to the floor's."""
    ratio_low: float
    ratio_high: float
    peak_mb: float
    above_floor_mb: float


@dataclass(frozen=True, slots=True)
class Growth:
    """How the seconds of a contender grow with the rows: as their so-manieth power."""

    measure: str
    source: str
    state: str
    contender: str
    exponent: float
    floor_exponent: float


@dataclass(slots=True)
class Report:
    """A run of the benchmarks."""

    rounds: int
    sizes: tuple[int, ...]
    measured: list[Measured] = field(default_factory=list)

    def add(self, measure: str, source: str, state: str, rows: int, results: Sequence[Result]) -> list[Measured]:
        """Take in a race, the floor first; gives what it comes to."""
        floor = results[0]
        added = []
        for result in results:
            ratios = [ours / least for ours, least in zip(result.seconds, floor.seconds, strict=False)]
            added.append(
                Measured(
                    measure,
                    source,
                    state,
                    rows,
                    result.name,
                    result is floor,
                    result.seen,
                    tuple(round(seconds, 6) for seconds in result.seconds),
                    round(median(result.seconds), 6),
                    round(median(ratios), 4),
                    round(min(ratios), 4),
                    round(max(ratios), 4),
                    round(result.peak_mb, 1),
                    round(result.peak_mb - floor.peak_mb, 1),
                )
            )
        self.measured += added
        return added

    @property
    def growth(self) -> list[Growth]:
        """Fitted wherever there are two sizes or more."""
        fits = list(self._fits())
        floors = {each[:3]: exponent for each, is_floor, exponent in fits if is_floor}
        return [
            Growth(*each, round(exponent, 3), round(floors[each[:3]], 3))
            for each, is_floor, exponent in fits
            if not is_floor
        ]

    def _fits(self) -> Iterator[tuple[tuple[str, str, str, str], bool, float]]:
        def kind(each: Measured) -> tuple[str, str, str, str]:
            return each.measure, each.source, each.state, each.contender

        for who, group in groupby(sorted(self.measured, key=kind), kind):
            of_sizes = list(group)
            if len({each.rows for each in of_sizes}) > 1:
                slope = linear_regression(
                    [log(each.rows) for each in of_sizes], [log(each.median_seconds) for each in of_sizes]
                ).slope
                yield who, of_sizes[0].is_floor, slope

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "commit": commit(),
            "machine": machine(),
            "rounds": self.rounds,
            "sizes": list(self.sizes),
            "measured": [asdict(each) for each in self.measured],
            "growth": [asdict(each) for each in self.growth],
        }


def table_rows(measured: Iterable[Measured]) -> Iterator[tuple[str, ...]]:
    """The cells of a table with these heads: `HEADS`."""
    for each in measured:
        spread = f"{each.ratio:.2f} ({each.ratio_low:.2f} to {each.ratio_high:.2f})"
        yield (
            each.measure,
            each.source,
            each.state,
            f"{each.rows:,}",
            each.contender,
            _time(each.median_seconds),
            "floor" if each.is_floor else spread,
            f"{each.peak_mb:.0f} MB",
            "" if each.is_floor else f"{each.above_floor_mb:+.1f} MB",
        )


def markdown(document: dict[str, Any]) -> str:
    """A document as `Report.document` makes it, as the documentation shows it."""
    of = document["machine"]
    measured = [Measured(**{**each, "seconds": tuple(each["seconds"])}) for each in document["measured"]]
    machine_ = f"{of['cpus']} CPUs ({of['cpu']}), {of['memory_gb']} GB, {of['system']}, Python {of['python']}"
    lines = [
        f"Commit {document['commit']}, {document['date']}, {document['rounds']} rounds; {machine_}.",
        "",
        _line(HEADS),
        _line("---" for _ in HEADS),
        *(_line(cells) for cells in table_rows(measured)),
    ]
    if document["growth"]:
        heads = ("Measure", "MIS", "State", "What", "Growth exponent", "The floor's")
        lines += ["", _line(heads), _line("---" for _ in heads)]
        for each in document["growth"]:
            exponents = f"{each['exponent']:.2f}", f"{each['floor_exponent']:.2f}"
            lines.append(_line((each["measure"], each["source"], each["state"], each["contender"], *exponents)))
    return "\n".join(lines)


def put_into(page: Path, text: str) -> None:
    """Replace what is between the two marks of a page. Raises `ValueError` where it has none."""
    begin, end = _MARKS
    content = page.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise ValueError(f"{page} has no {begin} and {end}")
    before, _, rest = content.partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def machine() -> dict[str, Any]:
    """What it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit that is measured, with a + when there are changes on top of it."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../../syncd")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part")))
    return next(named, platform.machine())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
