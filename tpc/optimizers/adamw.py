"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import ClassVar

from tpc.optimizers.adam import Adam
from tpc.optimizers.base import Option, number


class AdamW(Adam):
    """Adam whose weight decay acts on the weight itself (Loshchilov and Hutter 2019).

    As in PyTorch a step shrinks w by the factor `1 - lr n^-c decay`; `decay` is 0.01 where it is
    not given.
    """

    name: ClassVar[str] = "adamw"
    decoupled: ClassVar[bool] = True
    own: ClassVar[tuple[Option, ...]] = (*Adam.own, number("decay", "0.01", "weight decay"))


ADAMW = AdamW()
