"""The parametrization for PyTorch: one file to paste, which needs nothing but torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tpc.export.optimizers import TORCH, used
from tpc.export.rules import rules
from tpc.export.torch_classes import classes

if TYPE_CHECKING:
    from tpc.scaling.solved import Solved

_HEAD = '''"""Maximal update for PyTorch (gauge {gauge}), written by tpc from {source}.

    groups = prepare(model, width)      # initial values, multipliers; returns parameter groups
    optimizers = make(groups)           # what the program was solved for: {optimizers}

Every number is (constant, power): constant * (width / BASE_WIDTH) ** power. The patterns are
searched for in the names of the model's parameters, the first that matches counts: edit them.
Multipliers become parametrizations of the weights, so that forward passes stay as they are.
"""

import re

import torch
from torch.nn.utils import parametrize

BASE_WIDTH = {base_width}

RULES = [
'''

_TAIL = '''

class Multiplier(torch.nn.Module):
    """The weight that the network uses is a multiple of the one that is trained."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, weight):
        return self.factor * weight


def scaled(number, width):
    """Return the value of (constant, power) at a width."""
    constant, power = number
    return constant * (width / BASE_WIDTH) ** power


def rule_of(name):
    """Return what a parameter gets."""
    for pattern, rule in RULES:
        if re.search(pattern, name):
            return rule
    raise KeyError(f"no pattern matches the parameter {name!r}")


def prepare(model, width):
    """Initialise a model of this width in place; return parameter groups for its optimizers."""
    groups = []
    for name, parameter in list(model.named_parameters()):
        rule = rule_of(name)
        factor = scaled(rule["mult"], width)
        with torch.no_grad():
            if rule["fill"] is None:
                parameter.normal_(0.0, scaled(rule["std"], width))
            else:
                parameter.fill_(rule["fill"] / factor)
        if factor != 1.0:
            owner, _, attribute = name.rpartition(".")
            module = model.get_submodule(owner)
            parametrize.register_parametrization(module, attribute, Multiplier(factor))
            parameter = module.parametrizations[attribute].original
        if rule["lr"] is None:
            parameter.requires_grad_(False)
            continue
        group = {"params": [parameter], "name": name, "optimizer": rule["optimizer"]}
        for key in ("lr", "weight_decay", "eps"):
            if rule[key] is not None:
                group[key] = scaled(rule[key], width)
        groups.append(group)
    return groups


def make(groups):
    """Return the optimizers of the groups, by name."""
    found = {}
    for group in groups:
        found.setdefault(group.pop("optimizer"), []).append(group)
    return {name: OPTIMIZERS[name](groups) for name, groups in found.items()}
'''


def torch_text(solved: Solved, base_width: int) -> str:
    """Return the file's text; optimizers that torch does not have are classes of it."""
    optimizers = dict(used(solved))
    source = solved.module.source.name.rsplit("/", 1)[-1]
    parts = [
        _HEAD.format(
            gauge=solved.gauge,
            source=source,
            optimizers=", ".join(optimizers) or "none",
            base_width=base_width,
        )
    ]
    for rule in rules(solved, base_width):
        parts.append(f"    # {rule.weights}: {rule.role}\n")
        parts.append(
            f'    (\n        r"{rule.pattern}",\n        {{\n{rule.entries()}        }},\n    ),\n'
        )
    parts.append(
        "]\n\n# momentum-like options are those of the program; lr and eps are the groups'\n"
    )
    parts.append("OPTIMIZERS = {\n")
    for name, options in optimizers.items():
        parts.append(f'    "{name}": lambda groups: {TORCH[name](options)},\n')
    parts.append("}\n")
    parts += classes(optimizers)
    parts.append(_TAIL)
    return "".join(parts)
