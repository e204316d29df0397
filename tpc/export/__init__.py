"""Parametrizations as text for other tools: what a practitioner pastes."""

from tpc.export.write import write

__all__ = ["write"]
