"""Limits against an extrapolation in 1/n of many finite networks: the cases and the comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.feature.constructs import PROGRAMS
from tests.feature.programs import Data, data, extrapolated, module_of, perceptron
from tpc.feature import Run, feature_limit
from tpc.ir.module import Module

SQUARE = "polynomial(0, 0, 1/2)"
#: Exponents of the first and of the last weight.
MAXIMAL_UPDATE = ("abc(-1/2, 1/2, 0)", "abc(1/2, 1/2, 0)")
MEAN_FIELD = ("abc(0, 0, -1)", "abc(1, 0, -1)")
STEPS = 8
#: Hidden layers, activation, and whether the exponents are those of the mean field.
PERCEPTRONS = [
    (layers, act, False)
    for layers in (1, 2, 3)
    for act in ("identity", "relu", "tanh", "erf", SQUARE)
] + [(1, act, True) for act in ("identity", "relu", "tanh", "erf", SQUARE)]
CONSTRUCTS = ("rnn", "residual", "layer norm", "attention", "adam", "convolution", "images")


@dataclass(frozen=True)
class Case:
    """A program with data, and the width and number of networks that it is compared with."""

    name: str
    module: Module
    points: Data
    steps: int = STEPS
    width: int = 128
    seeds: int = 512


@dataclass(frozen=True)
class Comparison:
    """A limit at the default tolerance, and what networks extrapolate to, with its error."""

    run: Run
    expected: np.ndarray
    noise: np.ndarray

    @property
    def difference(self) -> float:
        """The largest absolute difference of an f_t."""
        return float(np.abs(self.run.f - self.expected).max())

    @property
    def deviation(self) -> float:
        """The largest difference in combined standard errors."""
        combined = np.sqrt(self.run.error**2 + self.noise**2)
        return float((np.abs(self.run.f - self.expected) / combined).max())


def perceptron_case(
    layers: int, act: str, mean_field: bool, width: int = 128, seeds: int = 512
) -> Case:
    """Batch 4. Where an activation grows, steps are smaller and networks wider.

    With z^2/2 the degree of f_t doubles with each step: at large learning rates rare coordinates
    decide about expectations, and no width that fits into memory is asymptotic.
    """
    first, last = MEAN_FIELD if mean_field else MAXIMAL_UPDATE
    lr = {1: "0.02", 2: "0.005", 3: "0.0005"}[layers] if act == SQUARE else "0.1"
    module = perceptron(
        layers,
        act,
        optimizer=f"sgd(lr = {lr})",
        init="init normal(sqrt(2))" if act == "relu" else "",
        first=first,
        last=last,
    )
    shown = "z^2/2" if act == SQUARE else act
    name = f"{layers} x {shown}, {'mean field' if mean_field else 'muP'}"
    return Case(name, module, data(), STEPS, width * (2 if act == SQUARE else 1), seeds)


def all_cases(width: int, seeds: int) -> list[Case]:
    """Return everything that is compared."""
    return [
        *(perceptron_case(*each, width, seeds) for each in PERCEPTRONS),
        *(construct_case(name, width, seeds) for name in CONSTRUCTS),
    ]


def construct_case(name: str, width: int = 128, seeds: int = 512) -> Case:
    """One program beyond perceptrons, on three samples."""
    text, shape, targets = PROGRAMS[name]
    random = np.random.default_rng(0)
    x = 0.7 * random.standard_normal((3, *shape))
    points = {"x": x, "y": np.sign(random.standard_normal((3, *targets)))}
    return Case(name, module_of(text), points, 6, width, seeds)


def compared(case: Case) -> Comparison:
    """Train the limit, and the networks."""
    run = feature_limit(case.module).train(case.points, case.steps)
    expected, noise = extrapolated(
        case.module, case.points, case.steps, width=case.width, seeds=case.seeds
    )
    return Comparison(run, expected, noise)
