"""A college with a syncd, for those who upgrade it."""

from tests.acceptance.conftest import learners, mis, onefile, state, syncd

__all__ = ["learners", "mis", "onefile", "state", "syncd"]
