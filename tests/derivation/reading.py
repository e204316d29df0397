"""Equations read as they are printed: every symbol by samples of its Z, nothing of the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from tpc.derivation.deriving import Equation, Recursion
from tpc.derivation.symbols import (
    Applied,
    CopyMean,
    Entry,
    Expression,
    Factor,
    Image,
    Label,
    Mean,
    Power,
    Slope,
    Symbol,
    symbols,
)

Array = np.ndarray
Bound = dict[Label | str, int]


class Reading:
    """Samples of all Z's and numbers of all scalars, by name, step, and labels.

    ``extents`` are the sizes of the axes of values that have some. Hats of a weight are drawn one
    after the other, given the earlier ones; expected derivatives are Stein's lemma.
    """

    def __init__(
        self,
        recursion: Recursion,
        data: Mapping[str, Array],
        extents: Mapping[str, tuple[int, ...]],
        samples: int,
        seed: int = 1,
    ) -> None:
        self.recursion, self.data, self.extents = recursion, data, extents
        self.samples, self.random = samples, np.random.default_rng(seed)
        self.batch = len(next(iter(data.values())))
        self.known: dict[tuple[object, ...], Array] = {}
        self.hats: dict[tuple[str, bool], list[tuple[Array, Array]]] = {}
        self.drawn: dict[tuple[object, ...], int] = {}
        self.constants = {"B": float(self.batch)}
        self.variances = {
            (e.left[0].weight, e.left[0].transposed): e.right.terms[0].constant.value
            for e in recursion.equations
            if isinstance(e.left, tuple)
        }
        for name, rate in recursion.rates.items():
            self.constants[recursion.eta(name).name] = rate.value
        for each in recursion.stepping.values():
            self.constants |= {key: value.value for key, value in each.numbers().items()}
        # entries at all pairs of samples: rows are Z, columns copies of it
        self.matrices = {name for name, leaf in recursion.leaves().items() if leaf.type.sort > 1}
        self.paired = False

    def run(self, equations: Iterable[Equation], t: int = 0) -> None:
        """Read equations one after the other."""
        for each in equations:
            if isinstance(each.left, Symbol):
                self._assign(each.left, each, t)
            elif isinstance(each.left, Image) and each.left.part == "dot":
                continue  # read where it is used

    def f(self, t: int) -> Array:
        """Return the output, (samples, axes)."""
        ranges = [range(n) for n in self.extents.get("f", ())]
        places = itertools.product(range(self.batch), *ranges)
        found = np.array([float(self.known["f", t, *place]) for place in places])
        return found.reshape(self.batch, -1)

    def _assign(self, left: Symbol, each: Equation, t: int) -> None:
        samples = range(self.batch) if left.sample is not None else [None]
        ranges = [range(n) for n in self.extents.get(left.name.split("_")[-1], ())]
        if left.name in self.extents:
            ranges = [range(n) for n in self.extents[left.name]]
        if any(axis.kind == "step" for axis in left.axes):
            (past,) = left.axes
            ranges = [
                range(t + 1) if past.name == "s" else range(int(past.name), int(past.name) + 1)
            ]
        assert len(ranges) == len(left.axes)
        for sample, *axes in itertools.product(samples, *ranges):
            bound: Bound = {"t": t, "t+1": t + 1, "t-1": t - 1}
            bound.update(zip(left.axes, axes, strict=True))
            bound.update({axis.name: at for axis, at in zip(left.axes, axes, strict=True)})
            self.paired = left.kind == "Z" and left.name.split("_")[-1] in self.matrices
            if left.sample is not None:
                bound[left.sample] = sample
            self.known[self._key(left, bound)] = self._value(each, bound)
            self.paired = False

    def _value(self, each: Equation, bound: Bound) -> Array:
        if each.rule == "independent":
            entry = each.right.terms[0].factors[0]
            assert isinstance(entry, Entry)
            variance = self.expression(entry.arguments[1], bound)
            x = self.random.standard_normal(self.samples)
            return np.sqrt(variance) * (x - x.mean()) / x.std()
        self.equations = {
            (e.left.weight, e.left.transposed, e.left.argument.name): e.right
            for e in self.recursion.equations
            if e.section == each.section and isinstance(e.left, Image)
        }
        return self.expression(each.right, bound)

    def _key(self, symbol: Symbol, bound: Bound) -> tuple[object, ...]:
        at = None if symbol.step is None else self._step(symbol.step, bound)
        sample = () if symbol.sample is None else (bound[symbol.sample],)
        return (symbol.name, at, *sample, *(self._place(axis, bound) for axis in symbol.axes))

    def _step(self, label: Label, bound: Bound) -> int:
        return bound[label.name] if label.name in bound else int(label.name)

    def _place(self, axis: Label, bound: Bound) -> int:
        if axis.kind == "step":
            return self._step(axis, bound)
        return int(axis.name) - 1 if axis.name else bound[axis]

    def expression(self, x: Expression, bound: Bound) -> Array:
        total = np.zeros(())
        for term in x.terms:
            for inner in self._bindings(term.bound, term.factors, bound):
                value = np.asarray(term.constant.value)
                for factor in term.factors:
                    value = value * self.factor(factor, inner)
                total = total + value
        return total

    def _bindings(
        self, labels: tuple[Label, ...], factors: tuple[Factor, ...], bound: Bound
    ) -> Iterable[Bound]:
        ranges = []
        for label in labels:
            if label.kind == "step":
                ranges.append(range(bound["t"] + (label.bound == "s <= t")))
            elif label.kind == "sample":
                ranges.append(range(self.batch))
            else:
                ranges.append(range(self._extent(label, factors)))
        for values in itertools.product(*ranges):
            names = [label.name if label.kind == "step" else label for label in labels]
            yield {**bound, **dict(zip(names, values, strict=True))}

    def _extent(self, label: Label, factors: tuple[Factor, ...]) -> int:
        from tpc.derivation.symbols import of

        for symbol in symbols(of(*factors)):
            if label in symbol.axes:
                place = symbol.axes.index(label)
                if symbol.kind == "data":
                    shape = np.squeeze(self.data[symbol.name][0]).shape
                    return int(shape[place])
                return self.extents[symbol.name][place]
        raise AssertionError(label)

    def factor(self, factor: Factor, bound: Bound) -> Array:
        match factor:
            case Symbol(name="delta", axes=(one, other)) if one.kind == "step":
                return np.asarray(float(self._step(one, bound) == self._step(other, bound)))
            case Symbol(name="delta", axes=(one, other)):
                return np.asarray(float(bound[one] == bound[other]))
            case Symbol(kind="number"):
                name, _, exponent = factor.name.partition("^")
                power = {"": 1, "(t+1)": bound["t"] + 1}.get(exponent)
                return np.asarray(self.constants[name] ** (power or int(exponent)))
            case Symbol(kind="data", sample=sample, axes=axes):
                assert sample is not None
                row = np.squeeze(self.data[factor.name][bound[sample]])
                return np.asarray(row[tuple(self._place(axis, bound) for axis in axes)])
            case Symbol(axes=(past,)) if past.kind == "step":  # zero up to its own step
                return self.known.get(self._key(factor, bound), np.zeros(()))
            case Symbol(name=name) if name.endswith("'"):
                return self.known[self._key(replace(factor, name=name[:-1]), bound)].T
            case Symbol(kind=kind):
                found = self.known[self._key(factor, bound)]
                if self.paired and found.ndim == 1:
                    return found[None, :] if kind == "copy" else found[:, None]
                return found
            case CopyMean(inside=inside):
                self.paired = True
                pairs = np.broadcast_to(self.expression(inside, bound), 2 * (self.samples,))
                self.paired = False
                return pairs.mean(axis=1)
            case Entry(name="sign", arguments=(inside,)):
                return np.sign(self.expression(inside, bound))
            case Entry(name="min", arguments=(first, second)):
                return np.minimum(self.expression(first, bound), self.expression(second, bound))
            case Image(part="hat"):
                place = self._drawn(factor, bound)
                return self.hats[factor.weight, factor.transposed][place][1]
            case Image():
                key = (factor.weight, factor.transposed, factor.argument.name)
                return self.expression(self.equations[key], bound)
            case Applied(function=function, inside=inside):
                return np.asarray(function.numpy(np.asarray(self.expression(inside, bound))))
            case Power(base=base, exponent=exponent):
                return np.asarray(self.expression(base, bound) ** float(exponent))
            case Mean(inside=inside):
                return np.asarray(self.expression(inside, bound).mean())
            case Slope(of=symbol, by=by):
                return self._slope(self.known[self._key(symbol, bound)], by, bound)
        raise AssertionError(factor)

    def _drawn(self, image: Image, bound: Bound) -> int:
        """Return which of its weight's hats an image is, drawing it where it is new."""
        place = (image.weight, image.transposed, *self._key(image.argument, bound))
        family = self.hats.setdefault((image.weight, image.transposed), [])
        if place not in self.drawn:
            x = self.known[self._key(image.argument, bound)] + np.zeros(self.samples)
            new = self.random.standard_normal(self.samples)
            past = np.array([hat for _, hat in family]).reshape(len(family), self.samples)
            new -= np.linalg.lstsq(past.T, new, rcond=None)[0] @ past
            new *= 1 / np.sqrt((new**2).mean())
            xs = np.array([y for y, _ in family]).reshape(len(family), self.samples)
            weights = np.linalg.lstsq(xs.T, x, rcond=1e-6)[0]
            left = ((x - weights @ xs) ** 2).mean()
            self.drawn[place] = len(family)
            sigma = np.sqrt(self.variances[image.weight, image.transposed])
            family.append((x, weights @ past + sigma * np.sqrt(left) * new))
        return self.drawn[place]

    def _slope(self, x: Array, by: Image, bound: Bound) -> Array:
        place = self._drawn(by, bound)
        hats = np.array([hat for _, hat in self.hats[by.weight, by.transposed]])
        covariance = hats @ hats.T / self.samples
        found = np.linalg.lstsq(covariance, hats @ x / self.samples, rcond=1e-6)[0]
        return np.asarray(found[place])
