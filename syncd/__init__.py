"""syncd keeps a training provider's OneFile accounts in sync with its MIS."""

__version__ = "0.1.0"
