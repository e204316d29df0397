"""Make ``characters.npz`` from the Omniglot data set.

Usage: ``python make_data.py images_background_small1.zip``. The zip is the file of that name in
Omniglot's repository (https://github.com/brendenlake/omniglot, folder ``python``). Every image is
moved so that its ink is centred, blurred a little, and averaged over blocks of 7 x 7 pixels: these
are ``image``. For ``x`` the mean of the training images is subtracted, and each image is scaled to
a mean square of one and rounded to multiples of 1/64.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SIDE = 105
BLOCK = 7
BLUR = 3.0
TRAINING_WRITERS = 15
Array = np.ndarray


def reduce(ink: Array) -> Array:
    """Return a 105 x 105 array of 0 and 1 (ink) as 15 x 15 darknesses from 0 to 255."""
    rows, columns = np.nonzero(ink)
    middle = (SIDE - 1) / 2
    shift = (round(middle - rows.mean()), round(middle - columns.mean()))
    blurred = gaussian_filter(np.roll(ink, shift, (0, 1)).astype(float), BLUR)
    blocks = blurred.reshape(SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK).mean((1, 3))
    return np.round(255 * blocks / blocks.max()).astype(np.uint8)


def features(images: Array, mean: Array) -> Array:
    """Return centred images of mean square one, as rows."""
    rows = (images - mean).reshape(len(images), -1)
    rows /= np.sqrt((rows**2).mean(1, keepdims=True))
    return (np.round(rows * 64) / 64).astype(np.float32)


def read(path: Path) -> tuple[Array, list[str], list[str], Array]:
    """Return images, alphabets, characters and writers, in the order of the file names."""
    images, alphabets, characters, writers = [], [], [], []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".png")):
            _, alphabet, character, file = name.split("/")
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))
            images.append(reduce(pixels < 128))
            alphabets.append(alphabet.replace("_", " "))
            characters.append(f"{alphabet}/{character}")
            writers.append(int(file.removesuffix(".png").split("_")[1]))
    return np.array(images), alphabets, characters, np.array(writers)


def arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of ``characters.npz``, by name."""
    images, alphabets, characters, writer = read(path)
    names, label = np.unique(alphabets, return_inverse=True)
    glyphs, glyph = np.unique(characters, return_inverse=True)
    data: dict[str, Array] = {"names": names, "glyphs": glyphs}
    training = writer <= TRAINING_WRITERS
    mean = images[training].mean(0)
    for prefix, chosen in (("", training), ("test_", ~training)):
        data[prefix + "x"] = features(images[chosen], mean)
        data[prefix + "y"] = label[chosen].astype(np.uint8)
        data[prefix + "image"] = images[chosen]
        data[prefix + "glyph"] = glyph[chosen].astype(np.uint8)
        data[prefix + "writer"] = writer[chosen].astype(np.uint8)
    return data


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python make_data.py images_background_small1.zip")
    target = Path(__file__).with_name("characters.npz")
    np.savez_compressed(target, **arrays(Path(sys.argv[1])))
    print(f"wrote {target.name}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
