"""Limits on data: Gram matrices, predictions and training runs, as the command line shows them."""

from tpc.evaluate.kernels import Evaluation, evaluate
from tpc.evaluate.training import Training, flow, train

__all__ = ["Evaluation", "Training", "evaluate", "flow", "train"]
