"""Rewriting of graphs before they are evaluated: exact algebra that saves work and memory."""

from tpc.simplify.reassociate import simplified

__all__ = ["simplified"]
