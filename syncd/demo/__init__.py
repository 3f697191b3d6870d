"""``syncd demo``: a made-up college, a simulated OneFile, and the real commands between the two."""

from syncd.demo.walkthrough import run_demo
from syncd.errors import StoryBroken

__all__ = ["StoryBroken", "run_demo"]
