"""A training provider with a syncd."""

from tests.support.provider.fixtures import learners, mis, onefile, state, syncd

__all__ = ["learners", "mis", "onefile", "state", "syncd"]
