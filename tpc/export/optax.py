"""The parametrization for JAX with optax: one file to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.export.optax_functions import functions
from tpc.export.optimizers import OPTAX, OPTAX_DECOUPLED, used
from tpc.export.rules import rules

if TYPE_CHECKING:
    from tpc.scaling.solved import Solved

_HEAD = '''"""Maximal update for JAX and optax (gauge {gauge}), written by tpc from {source}.

    params = initialise(params, width, key)       # a pytree of arrays of the right shapes
    optimizer = make(width)                       # an optax.GradientTransformation
    outputs = apply(effective(params, width), x)  # the network uses multiples of what is trained

Every number is (constant, power): constant * (width / BASE_WIDTH) ** power. The patterns are
searched for in the paths of the leaves, joined by dots; the first that matches counts: edit them.
"""

import re

import jax
import optax

BASE_WIDTH = {base_width}

RULES = [
'''

_TAIL = '''

def scaled(number, width):
    """Return the value of (constant, power) at a width."""
    constant, power = number
    return constant * (width / BASE_WIDTH) ** power


def name_of(path):
    """Return a leaf's path, joined by dots."""
    return ".".join(str(getattr(k, "key", getattr(k, "idx", getattr(k, "name", k)))) for k in path)


def index_of(path):
    """Return the number of the rule of a leaf."""
    for number, (pattern, _) in enumerate(RULES):
        if re.search(pattern, name_of(path)):
            return number
    raise KeyError(f"no pattern matches {name_of(path)!r}")


def initialise(params, width, key):
    """Return parameters like these with initial values of the trained weights."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    found = []
    for subkey, (path, leaf) in zip(jax.random.split(key, len(leaves)), leaves):
        rule = RULES[index_of(path)][1]
        if rule["fill"] is None:
            draw = jax.random.normal(subkey, leaf.shape, leaf.dtype)
            found.append(scaled(rule["std"], width) * draw)
        else:
            found.append(jax.numpy.full_like(leaf, rule["fill"] / scaled(rule["mult"], width)))
    return jax.tree_util.tree_unflatten(tree, found)


def effective(params, width):
    """Return the weights that the network uses."""

    def multiply(path, leaf):
        return scaled(RULES[index_of(path)][1]["mult"], width) * leaf

    return jax.tree_util.tree_map_with_path(multiply, params)


def make(width):
    """Return the optimizer for a width."""

    def labels(params):
        return jax.tree_util.tree_map_with_path(lambda path, _: index_of(path), params)

    rules = {number: transform(rule, width) for number, (_, rule) in enumerate(RULES)}
    return optax.multi_transform(rules, labels)


def transform(rule, width):
    """Return the update rule of one group of weights."""
    if rule["lr"] is None:
        return optax.set_to_zero()
    lr, eps, decay = (
        0.0 if rule[key] is None else scaled(rule[key], width)
        for key in ("lr", "eps", "weight_decay")
    )
    if rule["optimizer"] in DECOUPLED or not decay:
        return OPTIMIZERS[rule["optimizer"]](lr, eps, decay)
    last = OPTIMIZERS[rule["optimizer"]](lr, eps, decay)
    return optax.chain(optax.add_decayed_weights(decay), last)
'''


def optax_text(solved: Solved, base_width: int) -> str:
    """Return the file's text; optimizers that optax lacks are functions of it."""
    optimizers = dict(used(solved))
    source = solved.module.source.name.rsplit("/", 1)[-1]
    parts = [_HEAD.format(gauge=solved.gauge, source=source, base_width=base_width)]
    for rule in rules(solved, base_width):
        parts.append(f"    # {rule.weights}: {rule.role}\n")
        parts.append(
            f'    (\n        r"{rule.pattern}",\n        {{\n{rule.entries()}        }},\n    ),\n'
        )
    parts.append("]\n\nOPTIMIZERS = {\n")
    for name, options in optimizers.items():
        parts.append(f'    "{name}": lambda lr, eps, decay: {OPTAX[name](options)},\n')
    parts.append("}\n")
    decoupled = sorted(OPTAX_DECOUPLED & set(optimizers))
    parts.append(f"DECOUPLED = {decoupled!r}  # these take weight decay themselves\n")
    parts += functions(optimizers)
    parts.append(_TAIL)
    return "".join(parts)
