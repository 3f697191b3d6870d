"""``syncd demo``: a made-up college, a simulated OneFile, and the real commands between the two."""

from syncd.demo.walkthrough import tell_in
from syncd.errors import StoryBroken

__all__ = ["StoryBroken", "tell_in"]
