"""Tiny data sets in the layout of Omniglot, made on the spot."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

SPLIT = {
    "train": {"background": {"Greek": ["character01", "character02"], "Latin": ["character01"]}},
    "val": {"background": {"Latin": ["character02"]}, "evaluation": {"Runes": ["character01"]}},
    "test": {"evaluation": {"Runes": [f"character{k:02d}" for k in range(2, 8)]}},
}


def png(image: np.ndarray) -> bytes:
    file = BytesIO()
    imsave(file, image, cmap="gray", vmin=0, vmax=1, format="png")
    return file.getvalue()


def tiny_omniglot(folder: Path, drawings: int = 4, size: int = 15, *, seed: int = 0) -> Path:
    """Write zip files and class lists: 2 alphabets of 2, one of 7 characters."""
    random = np.random.default_rng(seed)
    parts = {"background": {"Greek": 2, "Latin": 2}, "evaluation": {"Runes": 7}}
    folder.mkdir(parents=True, exist_ok=True)
    for part, alphabets in parts.items():
        with zipfile.ZipFile(folder / f"images_{part}.zip", "w") as archive:
            for alphabet, count in alphabets.items():
                for character in range(1, count + 1):
                    shape = random.random((size, size)) < 0.2
                    for drawing in range(drawings):
                        noise = random.random((size, size)) < 0.03
                        name = f"images_{part}/{alphabet}/character{character:02d}/"
                        name += f"{character:04d}_{drawing:02d}.png"
                        archive.writestr(name, png(1.0 - (shape ^ noise)))
    (folder / "vinyals_split").mkdir(exist_ok=True)
    for split, classes in SPLIT.items():
        (folder / "vinyals_split" / f"{split}.json").write_text(json.dumps(classes))
    return folder
