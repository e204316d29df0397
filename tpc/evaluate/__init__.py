"""Limits on data: Gram matrices, predictions and training runs, as the command line shows them."""

from tpc.evaluate.kernels import Evaluation, evaluate
from tpc.evaluate.training import Training, flow, train
from tpc.evaluate.written import Written, write_kernels

__all__ = ["Evaluation", "Training", "Written", "evaluate", "flow", "train", "write_kernels"]
