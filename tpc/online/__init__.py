"""Compiled online steps: programs that look words up, trained one sample at a time."""

from tpc.online.network import OnlineNetwork
from tpc.online.online import Online, online

__all__ = ["Online", "OnlineNetwork", "online"]
