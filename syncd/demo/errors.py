"""The one way in which a demo fails."""

from syncd.errors import SyncdError


class StoryBroken(SyncdError):
    """The story could not be told, or did not go as it says; the message is what there is to know of it."""
