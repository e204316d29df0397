"""Feature-learning limits: the training run of an infinitely wide network, for any program."""

from tpc.feature.result import Run
from tpc.feature.run import FeatureLimit, feature_limit

__all__ = ["FeatureLimit", "Run", "feature_limit"]
