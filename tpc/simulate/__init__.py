"""Finite-width execution with NumPy: the oracle that every limit is checked against."""

from tpc.simulate.batches import minibatches
from tpc.simulate.execute import execute, peak_entries
from tpc.simulate.initialise import initial_weights
from tpc.simulate.kernel import EmpiricalKernel, empirical_kernel
from tpc.simulate.run import simulate
from tpc.simulate.simulation import Simulation

__all__ = [
    "EmpiricalKernel",
    "Simulation",
    "empirical_kernel",
    "execute",
    "initial_weights",
    "minibatches",
    "peak_entries",
    "simulate",
]
