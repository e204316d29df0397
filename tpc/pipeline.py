"""The stages of the compiler, in order, each a pure function of the ones before.

``Compilation`` holds one program with its overrides and computes stages on demand, once.
``STAGES`` lists every stage that has a text form: ``--emit``, timing, tests and docs read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from tpc.diagnostics import Source
from tpc.elaborate import Override, elaborate
from tpc.exact import Affine
from tpc.ir import Module
from tpc.ir.printer import print_graph, print_module
from tpc.ir.verify import verify, verify_module
from tpc.parametrize import parametrize
from tpc.parametrize.assume import assume
from tpc.syntax import parse

if TYPE_CHECKING:
    from tpc.limit import Limit
    from tpc.scaling import Classification
    from tpc.syntax.tree import Program as Tree


@dataclass(frozen=True)
class Compilation:
    """One program text with overrides of its sizes, reals, activations and exponents.

    ``alignment`` is what is assumed of its weights.
    """

    source: Source
    overrides: Mapping[str, Override] = field(default_factory=lambda: MappingProxyType({}))
    alignment: Mapping[str, Fraction | int | str] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def with_overrides(self, changes: Mapping[str, Override]) -> Compilation:
        """Return the compilation of the same text with further overrides."""
        new = replace(self, overrides=MappingProxyType({**self.overrides, **changes}))
        if "tree" in self.__dict__:
            new.__dict__["tree"] = self.tree  # the text is the same: parse it once
        return new

    @cached_property
    def tree(self) -> Tree:
        """The syntax tree."""
        return parse(self.source)

    @cached_property
    def elaborated(self) -> Module:
        """The typed IR, exponents as the program states them."""
        module = elaborate(self.tree, self.overrides)
        verify_module(module)
        return module

    @cached_property
    def module(self) -> Module:
        """The typed IR with every exponent that a named parametrization fills in."""
        module = parametrize(self.elaborated)
        return assume(module, self.alignment) if self.alignment else module

    @cached_property
    def classification(self) -> Classification:
        """The class of the program (symbolic exponents need values first)."""
        from tpc.scaling import classify

        return classify(self.module)

    def assuming(self, alignment: Mapping[str, Fraction | int | str]) -> Compilation:
        """Return the compilation under assumptions of alignment (tpc.parametrize.assume)."""
        new = replace(self, alignment=MappingProxyType({**self.alignment, **alignment}))
        for stage in ("tree", "elaborated"):  # independent of what is assumed
            if stage in self.__dict__:
                new.__dict__[stage] = self.__dict__[stage]
        return new

    def at(self, exponents: Mapping[str, Affine]) -> Module:
        """Return the module with values for symbolic exponents."""
        return self.module.with_exponents(exponents)

    def limit(self, kind: str) -> Limit:
        """Return the kernel limit of a kind, nngp or ntk; it is derived once."""
        from tpc.limit import limit

        if kind not in self._limits:
            found = limit(self.module, kind)
            self._limits[kind] = replace(found, resized=self._resized)
        return self._limits[kind]

    def _resized(self, sizes: Mapping[str, int]) -> Module:
        return self.with_overrides(sizes).module

    @cached_property
    def _limits(self) -> dict[str, Limit]:
        return {}


@dataclass(frozen=True)
class Stage:
    """A stage with a text form."""

    name: str
    summary: str
    text: Callable[[Compilation], str]


def _syntax(compilation: Compilation) -> str:
    from tpc.syntax import dump

    return dump(compilation.tree)


def _step(compilation: Compilation) -> str:
    from tpc.unroll import training_step

    step = training_step(compilation.module)
    roots = {"loss": step.loss} | {f"d loss/d {k}": v for k, v in step.gradients.items()}
    verify(roots.values())
    return print_graph(roots)


def _unrolled(compilation: Compilation) -> str:
    from tpc.unroll import unroll

    run = unroll(compilation.module, 2)
    roots = {
        f"{name}@{t}": node for t, each in enumerate(run.outputs) for name, node in each.items()
    }
    roots |= {
        f"{name}@{t}": node for t, each in enumerate(run.weights) for name, node in each.items()
    }
    roots |= {f"loss@{t}": node for t, node in enumerate(run.losses)}
    verify(roots.values())
    return print_graph(roots)


def _scaling(compilation: Compilation) -> str:
    from tpc.report.classification import exponents_text

    return exponents_text(compilation.classification)


def _equations(compilation: Compilation) -> str:
    return compilation.limit("ntk").text()


def _kernel(compilation: Compilation) -> str:
    return compilation.limit("ntk").source


def _feature(compilation: Compilation) -> str:
    from tpc.derivation import derivation

    return derivation(compilation.module).text()


def _online(compilation: Compilation) -> str:
    from tpc.online import online

    return online(compilation.module).source


STAGES: tuple[Stage, ...] = (
    Stage("tree", "the syntax tree", _syntax),
    Stage("ir", "the typed graph as elaborated", lambda c: print_module(c.elaborated)),
    Stage("module", "the typed graph with its parametrization", lambda c: print_module(c.module)),
    Stage("step", "loss and gradients of one training step", _step),
    Stage("unrolled", "two training steps as straight-line IR", _unrolled),
    Stage("scaling", "width exponents of every named value", _scaling),
    Stage("equations", "the kernel recursion (NNGP and NTK)", _equations),
    Stage("kernel", "the generated Numba source", _kernel),
    Stage("feature", "the recursion of the Z's where features learn", _feature),
    Stage("online", "Numba source of a training step that touches looked-up rows only", _online),
)


def emit(compilation: Compilation, stage: str) -> str:
    """Return the text form of a stage.

    Raises:
        KeyError: there is no such stage.
        tpc.TpcError: the program has errors at or before it.
    """
    return {each.name: each.text for each in STAGES}[stage](compilation)
