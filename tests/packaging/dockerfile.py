"""A Dockerfile, read."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    given: str

    @property
    def words(self) -> list[str]:
        """What is given in the form of a JSON list, or else word by word."""
        if self.given.startswith("["):
            words: list[str] = json.loads(self.given)
            return words
        return self.given.split()


@dataclass(frozen=True, slots=True)
class Stage:
    """What follows one FROM."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def last(self, name: str) -> Instruction:
        """The one of this name that counts."""
        return [each for each in self.instructions if each.name == name][-1]


def read_dockerfile(file: Path) -> list[Stage]:
    """Its stages, in their order."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    instructions = [Instruction(*line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]
    starts = [number for number, each in enumerate(instructions) if each.name == "FROM"]
    stages = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        base, _, name = instructions[start].given.partition(" AS ")
        stages.append(Stage(base, name, tuple(instructions[start + 1 : end])))
    return stages


def variables(given: str) -> dict[str, str]:
    """What an ENV sets."""
    return dict(re.findall(r"(\w+)=(\S+)", given))
