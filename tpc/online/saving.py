"""The state of an online run in a file, so that an interrupted run continues to the same result."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tpc.diagnostics import Diagnostic, TpcError
from tpc.ir.printer import print_module
from tpc.storage import write_arrays

if TYPE_CHECKING:
    from tpc.online.network import OnlineNetwork

#: Seconds between two states, and the share of the time that saving may take.
EVERY, SHARE = 30.0, 0.05


class Saving:
    """The file of one run: weights, the number of steps, and arrays of the caller's.

    ``about`` says what else the result hangs on (data, seed): a file that was written for another
    program or another ``about`` is refused. The file is replaced as a whole.
    """

    def __init__(self, path: Path, network: OnlineNetwork, about: str) -> None:
        program = (print_module(network.module), network.source)
        parts = (*program, network.width, network.steps, about)
        kinds = [(name, a.shape, str(a.dtype)) for name, a in network.weights.items()]
        self.path, self.network = path, network
        self._digest = hashlib.sha256(repr((parts, kinds)).encode()).hexdigest()
        self._next = time.monotonic() + EVERY

    def resume(self) -> dict[str, np.ndarray] | None:
        """Put the network into the saved state; return the caller's arrays (None: no file).

        Raises:
            TpcError: the file cannot be read, or belongs to another run.
        """
        if not self.path.exists():
            return None
        try:
            with self.path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                if str(file["digest"]) != self._digest:
                    raise self._refused("it belongs to another program, data or request")
                for name, array in self.network.weights.items():
                    array[...] = file[f"weight {name}"]
                self.network.steps_done = int(file["steps"])
                return {n[5:]: file[n] for n in file.files if n.startswith("more ")}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._refused(f"it cannot be read ({error})") from error

    def keep(self, more: Mapping[str, np.ndarray], *, now: bool = False) -> bool:
        """Save where it is time to (or ``now``); return whether it was."""
        if not now and time.monotonic() < self._next:
            return False
        began = time.monotonic()
        arrays = {f"weight {name}": array for name, array in self.network.weights.items()}
        arrays |= {f"more {name}": array for name, array in more.items()}
        arrays |= {"digest": np.array(self._digest), "steps": np.array(self.network.steps_done)}
        write_arrays(self.path, arrays)
        ended = time.monotonic()
        self._next = ended + max(EVERY, (ended - began) / SHARE)
        return True

    def _refused(self, why: str) -> TpcError:
        return TpcError(
            Diagnostic(
                "E0954",
                f"{self.path} is not continued: {why}",
                help="remove the file, or name another folder",
            )
        )
