"""Exact arithmetic: affine forms, real constants, coefficients. No floats, no heavy imports."""

from tpc.exact.affine import Affine, AffineLike
from tpc.exact.coefficient import Coefficient
from tpc.exact.constant import Constant, ConstantLike

__all__ = ["Affine", "AffineLike", "Coefficient", "Constant", "ConstantLike"]
