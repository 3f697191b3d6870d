"""``syncd demo``: runs the real commands with a made-up college and a simulated OneFile."""

from syncd.demo.walkthrough import run_demo
from syncd.errors import StoryBroken

__all__ = ["StoryBroken", "run_demo"]
