"""Optimizers as other frameworks construct them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.optimizers.settings import Settings, settings

if TYPE_CHECKING:
    from tpc.scaling.solved import Solved

Options = Mapping[str, float]


def used(solved: Solved) -> Iterator[tuple[str, Options]]:
    """Yield the optimizers that a program uses, with the numbers of their lines."""
    if solved.module.loss is None:
        return
    seen: dict[str, Settings] = {}
    for name in solved.module.trained:
        chosen = settings(solved.module, name)
        if chosen is not None:
            seen.setdefault(chosen.optimizer.name, chosen)
    for name, chosen in seen.items():
        yield name, {key: value.constant.value for key, value in chosen.options.items()}


def _betas(o: Options) -> str:
    return f"({o['beta1']!r}, {o['beta2']!r})"


#: How torch.optim spells an optimizer; what is missing here has to be constructed by hand.
TORCH: Mapping[str, Callable[[Options], str]] = MappingProxyType(
    {
        "sgd": lambda o: "torch.optim.SGD(groups)",
        "momentum": lambda o: f"torch.optim.SGD(groups, momentum={o['beta']!r})",
        "adam": lambda o: f"torch.optim.Adam(groups, betas={_betas(o)})",
        "adamw": lambda o: f"torch.optim.AdamW(groups, betas={_betas(o)})",
        "adagrad": lambda o: "torch.optim.Adagrad(groups)",
    }
)

#: How optax spells a transformation, in terms of a rule's numbers.
OPTAX: Mapping[str, Callable[[Options], str]] = MappingProxyType(
    {
        "sgd": lambda o: "optax.sgd(lr)",
        "momentum": lambda o: f"optax.sgd(lr, momentum={o['beta']!r})",
        "adam": lambda o: f"optax.adam(lr, b1={o['beta1']!r}, b2={o['beta2']!r}, eps=eps)",
        "adamw": lambda o: (
            f"optax.adamw(lr, b1={o['beta1']!r}, b2={o['beta2']!r}, eps=eps, weight_decay=decay)"
        ),
    }
)

#: Optimizers that take weight decay themselves in optax; others get it as a link of the chain.
OPTAX_DECOUPLED = frozenset({"adamw"})
