"""Second moments of whole arrays of positions: kernels of images and sequences."""

from tpc.covariance.kernel import PositionKernel, position_kernel
from tpc.covariance.run import Run

__all__ = ["PositionKernel", "Run", "position_kernel"]
