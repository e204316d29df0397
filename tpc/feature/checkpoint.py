"""A run's state on disk, so that an interrupted run continues where it was.

A run consists of rounds of independent replicates. The file holds, for each replicate (number of
samples, number of the replicate), either its result or its state after the last step that was
saved: the samples of Z, the weights, and the state of the random numbers, so that a run that is
continued gives what it would have given. The file is replaced as a whole, never written into. What
belongs to the program is not in it: a run continues only under the program, data and request that
it was started with, whose digest stands in the file.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.feature.network import FeatureNetwork
from tpc.ir.module import ParamSpec
from tpc.ir.printer import print_module
from tpc.optimizers.settings import Settings
from tpc.scaling.characters import Coset, coset
from tpc.storage import replacing
from tpc.version import __version__

if TYPE_CHECKING:
    from tpc.ir.module import Module
    from tpc.ops.base import Array

#: The first line of a file, with the version of its layout.
MAGIC = b"tpc feature run 1\n"
#: Seconds between two states on disk.
EVERY = 30.0
#: Saving takes at most this share of the time.
_SHARE = 0.05

Which = tuple[int, int]


class Checkpoint:
    """The file of one run, or nothing where ``path`` is None.

    Raises:
        TpcError: there is a file, but it cannot be read, or is of another run.
    """

    def __init__(self, path: Path | None, digest: str, every: float = EVERY) -> None:
        self.path, self._digest, self._every = path, digest.encode(), every
        self._entries: dict[Which, tuple[bool, bytes]] = {}  # complete or not, and its bytes
        self._lock, self._next = Lock(), time.monotonic() + every
        if path is not None and path.exists():
            self._entries = self._read(path)

    def finished(self, which: Which) -> Any | None:
        """Return the result of a replicate that is complete, else None."""
        entry = self._loaded(which, None)
        return None if entry is None else entry["result"]

    def resume(self, which: Which, network: FeatureNetwork) -> tuple[list[Any], Array] | None:
        """Put a network into its saved state; return outputs and losses so far (None: no state)."""
        entry = self._loaded(which, network)
        if entry is None:
            return None
        _put_into(network, entry)
        return entry["path"], entry["losses"]

    def keep(
        self,
        which: Which,
        network: FeatureNetwork,
        path: list[Any],
        losses: Array,
        *,
        now: bool = False,
    ) -> None:
        """Save the state after a step where it is time to (or ``now``)."""
        if self.path is None or not (now or time.monotonic() >= self._next):
            return
        state = _state(network) | {"path": path, "losses": losses}
        self._put(which, False, _dumped(state, network))

    def finish(self, which: Which, result: Any) -> None:
        """Save a replicate's result."""
        if self.path is not None:
            self._put(which, True, _dumped({"result": result}, None))

    def remove(self) -> None:
        """Remove the file of a run that is complete."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    # -- the file ----------------------------------------------------------------------------------

    def _loaded(self, which: Which, network: FeatureNetwork | None) -> Any | None:
        complete, entry = self._entries.get(which, (False, b""))
        if not entry or complete != (network is None):
            return None
        try:
            return _Loader(io.BytesIO(entry), network).load()
        except Exception as error:
            raise self._refused(f"cannot be read ({error})") from error

    def _put(self, which: Which, complete: bool, entry: bytes) -> None:
        with self._lock:
            # states of an earlier round, with fewer samples, are of no use any more
            self._entries = {
                key: each for key, each in self._entries.items() if each[0] or key[0] == which[0]
            }
            self._entries[which] = complete, entry
            began = time.monotonic()
            self._write()
            took = time.monotonic() - began
            self._next = began + max(self._every, took / _SHARE)

    def _write(self) -> None:
        assert self.path is not None
        with replacing(self.path) as file:
            file.write(MAGIC + self._digest + b"\n")
            pickle.dump(self._entries, file, protocol=5)

    def _read(self, path: Path) -> dict[Which, tuple[bool, bytes]]:
        try:
            with path.open("rb") as file:
                magic, digest = file.readline(100), file.readline(100).strip()
                if magic != MAGIC:
                    raise self._refused("is no saved state of a run")
                if digest != self._digest:
                    raise self._refused("is of another program, other data or another request")
                entries: dict[Which, tuple[bool, bytes]] = _Loader(file, None).load()
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:
            raise self._refused(f"cannot be read ({error})") from error
        return entries

    def _refused(self, why: str) -> TpcError:
        return TpcError(
            Diagnostic(
                "E0954",
                f"the saved state {self.path} {why}",
                help="remove the file to start anew, or name another one",
            )
        )


def digest_of(module: Module, request: Iterable[Any]) -> str:
    """Return a digest of a program and of what is asked of it: numbers, text, arrays, mappings."""
    found = hashlib.sha256(f"{__version__}\n{print_module(module)}".encode())
    for item in request:
        for part in _parts(item):
            found.update(part + b";")
    return found.hexdigest()


def _parts(item: Any) -> Iterable[bytes]:
    if isinstance(item, Mapping):
        for name in sorted(item):
            yield name.encode()
            yield from _parts(item[name])
    elif isinstance(item, (list, tuple)):
        yield str(len(item)).encode()
        for each in item:
            yield from _parts(each)
    elif isinstance(item, np.ndarray):
        yield f"{item.shape} {item.dtype}".encode()
        yield np.ascontiguousarray(item).tobytes()
    else:
        yield repr(item).encode()


def saved_state(network: FeatureNetwork) -> bytes:
    """Return the state of a network: samples, weights, optimizer and random numbers."""
    return _dumped(_state(network), network)


def restore_state(network: FeatureNetwork, state: bytes) -> None:
    """Put a network into a state of :func:`saved_state`.

    Raises:
        ValueError: these bytes are no state of this network.
    """
    try:
        _put_into(network, _Loader(io.BytesIO(state), network).load())
    except Exception as error:
        raise ValueError(f"no state of this network: {error}") from error


def _state(network: FeatureNetwork) -> dict[str, Any]:
    return {"space": network.space, "weights": network.weights, "steps": network.steps_done}


def _put_into(network: FeatureNetwork, state: Mapping[str, Any]) -> None:
    network.space, network.weights = state["space"], state["weights"]
    network.steps_done = state["steps"]


# -- serialisation ---------------------------------------------------------------------------------


class _Dumper(pickle.Pickler):
    """Writes states; specs and settings of weights by name: they are the program's."""

    def __init__(self, file: io.BytesIO, network: FeatureNetwork | None) -> None:
        super().__init__(file, protocol=5)
        weights = {} if network is None else network.weights
        self._settings = {id(each.settings): name for name, each in weights.items()}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, ParamSpec):
            return "spec", obj.name
        if isinstance(obj, Settings):
            return "settings", self._settings[id(obj)]
        return None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Coset):  # equal ones are one object
            return coset, (obj.offset, obj.basis)
        # the order of axes in memory is kept: products would be rounded in another order else
        if (
            type(obj) is np.ndarray
            and obj.ndim > 1
            and not (obj.flags.c_contiguous or obj.flags.f_contiguous)
        ):
            order = np.argsort([-abs(stride) for stride in obj.strides], kind="stable")
            axes = tuple(int(axis) for axis in order)
            back = tuple(int(axis) for axis in np.argsort(axes))
            return transposed, (np.ascontiguousarray(obj.transpose(axes)), back)
        return NotImplemented


#: What may be called to make an object, besides classes of this package and of NumPy.
_FUNCTIONS = frozenset(
    (
        (__name__, "transposed"),
        ("tpc.scaling.characters", "coset"),
        ("fractions", "Fraction"),
    )
)


class _Loader(pickle.Unpickler):
    """Reads states: arrays, numbers and the classes of this package, and nothing that runs."""

    _NUMPY = frozenset(
        ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer", "Generator", "PCG64")
    )
    _RANDOM = frozenset(("__generator_ctor", "__bit_generator_ctor", "__pyx_unpickle_SeedSequence"))

    def __init__(self, file: Any, network: FeatureNetwork | None) -> None:
        super().__init__(file)
        self._network = network

    def persistent_load(self, pid: Any) -> Any:
        kind, name = pid
        if self._network is None:
            raise pickle.UnpicklingError(f"{kind} of {name} does not belong there")
        if kind == "spec":
            return self._network.module.params[name]
        return self._network.settings_of(name)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _FUNCTIONS:
            return super().find_class(module, name)
        if module.startswith("tpc.feature."):
            found = super().find_class(module, name)
            if isinstance(found, type):
                return found
        allowed = self._NUMPY | self._RANDOM
        if module.split(".")[0] == "numpy" and name in allowed | {"SeedSequence"}:
            return super().find_class(module, name)
        if module == "builtins" and name in ("set", "frozenset", "slice", "complex"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} does not belong there")


def transposed(array: Array, axes: tuple[int, ...]) -> Array:
    """Return an array with its axes in another order, its memory as it is."""
    return array.transpose(axes)


def _dumped(state: Any, network: FeatureNetwork | None) -> bytes:
    file = io.BytesIO()
    _Dumper(file, network).dump(state)
    return file.getvalue()
