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


def _adafactor(o: Options) -> str:
    return f"decay_rate={o['decay_rate']!r}, threshold={o['threshold']!r}"


def _muon(o: Options) -> str:
    return f"beta={o['beta']!r}, nesterov={bool(o['nesterov'])}"


#: How each optimizer is constructed in torch: from torch.optim, or a class of the pasted file.
TORCH: Mapping[str, Callable[[Options], str]] = MappingProxyType(
    {
        "sgd": lambda o: "torch.optim.SGD(groups)",
        "momentum": lambda o: f"torch.optim.SGD(groups, momentum={o['beta']!r})",
        "adam": lambda o: f"torch.optim.Adam(groups, betas={_betas(o)})",
        "adamw": lambda o: f"torch.optim.AdamW(groups, betas={_betas(o)})",
        "adagrad": lambda o: "torch.optim.Adagrad(groups)",
        "rmsprop": lambda o: f"torch.optim.RMSprop(groups, alpha={o['beta']!r})",
        "sign": lambda o: "Sign(groups)",
        "lion": lambda o: f"Lion(groups, betas={_betas(o)})",
        "adafactor": lambda o: f"Adafactor(groups, {_adafactor(o)})",
        "muon": lambda o: f"Muon(groups, {_muon(o)})",
    }
)

#: How optax spells a transformation, in terms of a rule's numbers, or a function of the file.
OPTAX: Mapping[str, Callable[[Options], str]] = MappingProxyType(
    {
        "sgd": lambda o: "optax.sgd(lr)",
        "momentum": lambda o: f"optax.sgd(lr, momentum={o['beta']!r})",
        "adam": lambda o: f"optax.adam(lr, b1={o['beta1']!r}, b2={o['beta2']!r}, eps=eps)",
        "adamw": lambda o: (
            f"optax.adamw(lr, b1={o['beta1']!r}, b2={o['beta2']!r}, eps=eps, weight_decay=decay)"
        ),
        # optax adds this epsilon to the sum of squares, inside of the root
        "adagrad": lambda o: "optax.adagrad(lr, initial_accumulator_value=0.0, eps=eps**2)",
        "rmsprop": lambda o: f"optax.rmsprop(lr, decay={o['beta']!r}, eps=eps, eps_in_sqrt=False)",
        "sign": lambda o: "sign(lr)",
        "lion": lambda o: (
            f"optax.lion(lr, b1={o['beta1']!r}, b2={o['beta2']!r}, weight_decay=decay)"
        ),
        "adafactor": lambda o: f"adafactor(lr, decay, {_adafactor(o)})",
        "muon": lambda o: f"muon(lr, decay, {_muon(o)})",
    }
)

#: Optimizers that take weight decay themselves in optax; others get it as a link of the chain.
OPTAX_DECOUPLED = frozenset({"adamw", "lion", "adafactor", "muon"})
