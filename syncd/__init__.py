"""syncd keeps a training provider's OneFile accounts in step with its MIS."""

__version__ = "0.1.0"
