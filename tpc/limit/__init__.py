"""Limits of programs as the width goes to infinity: second moments and kernel recursions."""

from tpc.limit.dual import Dual, DualAccuracyError, dual
from tpc.limit.limit import Limit, limit

__all__ = ["Dual", "DualAccuracyError", "Limit", "dual", "limit"]
