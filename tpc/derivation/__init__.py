"""Feature-learning limits as equations: the recursion that the Z's of a training run satisfy."""

from tpc.derivation.result import Derivation, derivation

__all__ = ["Derivation", "derivation"]
