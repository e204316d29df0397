"""Second moments of whole arrays of positions: kernels of images and sequences."""

from tpc.covariance.kernel import PositionKernel, position_kernel

__all__ = ["PositionKernel", "position_kernel"]
