"""A college with a syncd, for those who upgrade it."""

from tests.support.provider.fixtures import learners, mis, onefile, state, syncd

__all__ = ["learners", "mis", "onefile", "state", "syncd"]
