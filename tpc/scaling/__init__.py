"""Width exponents: the abstract interpreter, classes of programs, regions of parametrizations."""

from tpc.scaling.classification import Classification, Kind, Status
from tpc.scaling.classify import classify
from tpc.scaling.region import Region, region

__all__ = ["Classification", "Kind", "Region", "Status", "classify", "region"]
