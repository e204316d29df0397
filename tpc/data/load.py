"""Reading data files for a program: what a file is follows from its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tpc.data.archives import load_archive, load_array
from tpc.data.images import read_images
from tpc.data.prepare import LENGTH, prepared, sized
from tpc.data.sets import TEST_PREFIX, DataSet, Reading, split
from tpc.data.text import Known, read_text
from tpc.diagnostics import Diagnostic, TpcError

if TYPE_CHECKING:
    import numpy as np

    from tpc.ir import InputSpec, Module

_TEXTS = (".txt", ".text", ".md", ".gz", ".tsv")


def load(module: Module, files: Iterable[str], reading: Reading | None = None) -> DataSet:
    """Read data files for a program, each ``FILE`` or ``NAME=FILE``.

    * ``arrays.npz``: arrays by name; ``x=x.npy``: a single one;
    * ``x=folder`` or ``x=images.zip``: PNG images, whose classes are the names of their folders;
    * ``ids=text.txt``: windows of tokens, and the token after each as the target;
      ``ids=lines.tsv``: one sample in a line, its class before a tab.

    The name may be left out of images and texts where only one input can be meant. ``test_NAME``
    are the test points.

    Raises:
        TpcError: a file cannot be read or does not fit, or an array that the program needs is
            missing.
    """
    how = reading or Reading()
    source = _Source(module, how)
    for file in files:
        source.add(file)
    source.require_no_second_split()
    found = split(module, sized(module, source.arrays))
    return dataclasses.replace(prepared(module, found, how), names=source.names)


@dataclass
class _Source:
    """What has been read so far: arrays by name, and what labels and tokens stand for."""

    module: Module
    reading: Reading
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    own_test: set[str] = field(default_factory=set)

    def add(self, file: str) -> None:
        """Read one file."""
        name, equals, rest = file.partition("=")
        if not equals or not name.isidentifier():
            name, rest = "", file
        path = Path(rest)
        kind = path.suffix.lower()
        if path.is_dir() or kind in (".zip", ".png"):
            self._images(name or self._only(file, real=True), path)
        elif kind in _TEXTS:
            self._text(name or self._only(file, real=False), path)
        elif name:
            self._given({name: load_array(path)})
        elif kind == ".npy":
            raise TpcError(
                Diagnostic(
                    "E0911",
                    f"{file} holds one array, and nothing says which input it is",
                    help=f"give its name: --data x={file}",
                )
            )
        else:
            self._given(load_archive(path))

    def require_no_second_split(self) -> None:
        """Refuse to split test points off where the files have some already.

        Raises:
            TpcError: both are asked for.
        """
        own = sorted(self.own_test)
        if own and self.reading.test:
            raise TpcError(
                Diagnostic(
                    "E0914",
                    f"--test {self.reading.test:g} would split test points off data that have "
                    f"their own: {', '.join(f'`{name}`' for name in own)}",
                    help="leave --test out, or the arrays of the test points",
                )
            )

    def _given(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep arrays, and which of them are test points of the data's own."""
        self.arrays |= arrays
        inputs = self.module.inputs
        tests = {n for n in arrays if n.startswith(TEST_PREFIX) and n not in inputs}
        self.own_test |= {n for n in tests if n.removeprefix(TEST_PREFIX) in inputs}

    def _images(self, name: str, path: Path) -> None:
        spec, target = self._spec(name), self._target()
        known = self.names.get(target.name) if target else None
        images, labels, classes = read_images(path, spec, self._how(name), known)
        self._given({name: images})
        if target is not None and classes:
            self._keep(name, target.name, labels, classes)

    def _text(self, name: str, path: Path) -> None:
        spec, target = self._spec(name), self._target()
        known = Known(self.names.get(spec.name), self.names.get(target.name) if target else None)
        found = read_text(path, spec, target, self._how(name), known)
        prefix = name.removesuffix(spec.name)
        if "mask" in found.arrays and "mask" not in self.module.inputs:
            found.arrays[spec.name + LENGTH] = found.arrays.pop("mask").sum(axis=1).astype(int)
        arrays = {prefix + key: array for key, array in found.arrays.items()}
        if prefix:
            self._given(arrays)
        self.arrays |= arrays
        self.names[spec.name] = found.tokens
        if target is not None and found.classes:
            self.names[target.name] = found.classes

    def _how(self, name: str) -> Reading:
        """Return how to read an input: files of test points are read as a whole."""
        if not name.startswith(TEST_PREFIX) or name in self.module.inputs:
            return self.reading
        return dataclasses.replace(self.reading, test=0.0, most=None)

    def _keep(self, name: str, target: str, labels: np.ndarray, classes: tuple[str, ...]) -> None:
        """Keep the labels that come with an input, beside those of the user's own files."""
        prefix = TEST_PREFIX if name.startswith(TEST_PREFIX) else ""
        self.arrays.setdefault(prefix + target, labels)
        self.names[target] = classes

    def _spec(self, name: str) -> InputSpec:
        inputs: Mapping[str, InputSpec] = self.module.inputs
        base = name if name in inputs else name.removeprefix(TEST_PREFIX)
        if base not in inputs:
            given = ", ".join(f"`{each}`" for each in inputs)
            raise TpcError(
                Diagnostic("E0910", f"the program has no input `{name}`", help=f"it has {given}")
            )
        return inputs[base]

    def _only(self, file: str, real: bool) -> str:
        """Return the one input that a file without a name can mean."""
        names = [
            name
            for name, spec in self.module.inputs.items()
            if spec.role == "input" and (spec.type.below is None) == real and name != "mask"
        ]
        if len(names) != 1:
            raise TpcError(
                Diagnostic(
                    "E0911",
                    f"nothing says which input {file} is for",
                    help=f"give its name: --data NAME={file}",
                )
            )
        return names[0]

    def _target(self) -> InputSpec | None:
        found = [spec for spec in self.module.inputs.values() if spec.role == "target"]
        return found[0] if len(found) == 1 else None
