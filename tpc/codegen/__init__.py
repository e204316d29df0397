"""Numba source from kernel recursions."""

from tpc.codegen.load import cache_folder, load
from tpc.codegen.module import module_source, runtime_source

__all__ = ["cache_folder", "load", "module_source", "runtime_source"]
