"""Data for a program: arrays, images, texts."""

from tpc.data.load import load
from tpc.data.sets import TEST_PREFIX, DataSet, Reading, drawn_batches, split

__all__ = ["TEST_PREFIX", "DataSet", "Reading", "drawn_batches", "load", "split"]
