"""Sentences on what a kernel assumes, drops or keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.ir.node import Node, walk
from tpc.limit import expressions as ex
from tpc.optimizers import optimizers

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.limit.moments import MomentContext


def copies(output: Node, dropped: list[int]) -> tuple[str, ...]:
    """Say which outputs are independent copies."""
    counts = [str(output.type.dims[a].count) for a in dropped if output.type.dims[a].count > 1]
    if not counts:
        return ()
    return (f"the {' x '.join(counts)} outputs are independent copies with this kernel",)


def masks(output: Node) -> tuple[str, ...]:
    """Say what random masks share."""
    from tpc.ops.bernoulli import BERNOULLI

    if not any(node.op is BERNOULLI for node in walk([output])):
        return ()
    return (
        "random masks are drawn anew for every sample; K(x, x) and all variances share their own",
    )


def tied(context: MomentContext) -> tuple[str, ...]:
    """Say which weights are their own transposes."""
    return tuple(
        f"{name} is used along two axes, as a weight and as its transpose: what one product owes "
        "to the other is kept (Zdot terms)"
        for name in sorted(context.tied)
    )


def scores(context: MomentContext) -> tuple[str, ...]:
    """Say that random scores make a mixture of Gaussians."""
    if not context.scores:
        return ()
    return (
        "scores divided by n^(1/2) stay random: with finitely many heads the output is a mixture "
        "of Gaussians, and this is its covariance, averaged over the scores",
    )


def other_optimizers(module: Module) -> tuple[str, ...]:
    """Say so where training does not follow the gradient: its kernel is another one."""
    lines = (module.optimizer_of(name) for name in (module.trained if module.loss else ()))
    names = dict.fromkeys(
        line.name for line in lines if line is not None and optimizers()[line.name].kind != "linear"
    )
    if not names:
        return ()
    return (
        f"steps of {', '.join(names)} do not follow the gradient: this is the kernel of gradient "
        "steps with the same rates n^-c, which vanishes where those are made for other steps",
    )


def silent(parts: dict[str, ex.Expression]) -> tuple[str, ...]:
    """Say which weights contribute nothing."""
    names = [name for name, share in parts.items() if ex.is_zero(share)]
    if not names:
        return ()
    verb = "contributes" if len(names) == 1 else "contribute"
    return (f"{', '.join(names)} {verb} nothing in the limit",)


def independence(readouts: list[str]) -> tuple[str, ...]:
    """Say why backward vectors count as independent of forward ones."""
    names = ", ".join(readouts)
    used = "is used" if len(readouts) == 1 else "are used"
    return (
        f"gradients take independent copies of transposed weights: {names} {used} nowhere but in "
        "the output",
    )


def dependence(reason: str, names: list[str]) -> tuple[str, ...]:
    """Say why backward vectors do not count as independent, and what is kept therefore."""
    kept = (
        f" what products owe to transposed {', '.join(names)} is kept (Zdot terms)" if names else ""
    )
    return (f"gradients take no independent copies, as {reason}:{kept}",)
