"""Kernels written to .npy files, band by band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tpc.data import DataSet
    from tpc.ir import Module
    from tpc.limit import Limit
    from tpc.limit.bands import DType, Plan

Show = Callable[[int, int], None]


@dataclass(frozen=True)
class Written:
    """Which kernels of a kind were written where: shapes and files by array name.

    ``notes`` are sentences on what the numbers are.
    """

    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    files: Mapping[str, Path]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return what ``tpc run --json`` prints."""
        return {
            "schema": 1,
            "kind": self.kind,
            "arrays": {name: list(shape) for name, shape in self.shapes.items()},
            "files": {name: str(path) for name, path in self.files.items()},
        }

    def text(self) -> str:
        """Return what ``tpc run`` prints."""
        lines = [f"{self.kind.upper()} limit"]
        lines += [f"  {name:14} {shape}  {self.files[name]}" for name, shape in self.shapes.items()]
        return "\n".join([*lines, *self.notes])


def write_kernels(
    module: Module,
    limit: Limit,
    data: DataSet,
    path: Path,
    *,
    tolerance: float = 1e-10,
    dtype: DType = "float64",
    memory: int | None = None,
    resume: bool = False,
    diagonal: bool = False,
    plan: Callable[[Plan], None] | None = None,
    progress: Show | None = None,
) -> Written:
    """Write the kernel of the training samples to ``path``, of test against training beside it.

    The second file is called ``NAME_test.npy``. With ``diagonal`` both hold the kernel of every
    sample with itself, (N,). ``resume`` takes up what a killed run has left; see
    :class:`tpc.limit.bands.Options` for the rest.

    Raises:
        TpcError: data that do not fit the program, no room on the disk, an unfinished file that
            belongs to something else.
    """
    from tpc.limit.lengths import given
    from tpc.limit.union import notes, together

    train, _ = given(limit, data.train)
    sides: dict[str, tuple[Path, Any, Any]] = {"kernel": (path, train, None)}
    if data.test:
        test, _ = given(limit, data.test, "test data")
        limit = together(limit, train, test)
        beside = path.with_name(f"{path.stem}_test{path.suffix}")
        sides["kernel_test"] = (beside, test, None if diagonal else train)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (file, left, right) in sides.items():
        if diagonal:
            found = limit.evaluate(left, diagonal=True, tolerance=tolerance, dtype=dtype)
            _save(file, found)
        else:
            found = limit.evaluate(
                left,
                right,
                tolerance=tolerance,
                dtype=dtype,
                memory=memory,
                out=file,
                resume=resume,
                plan=plan,
                progress=progress,
            )
        shapes[name] = found.shape
    files = {name: side[0] for name, side in sides.items()}
    return Written(limit.kind, shapes, files, notes(limit))


def _save(path: Path, array: np.ndarray) -> None:
    import numpy as np

    from tpc.storage import replacing

    with replacing(path) as file:
        np.save(file, array)
