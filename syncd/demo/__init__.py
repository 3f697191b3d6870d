"""``syncd demo``: a made-up college, a simulated OneFile, and the real commands between the two."""

from syncd.demo.errors import StoryBroken
from syncd.demo.story import tell_in

__all__ = ["StoryBroken", "tell_in"]
