"""Make images.zip from Omniglot's ``images_background_small1.zip``: fewer, smaller PNG images.

Of every character the drawings of five people are kept, averaged down to 15 x 15 pixels.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from matplotlib.image import imsave

from tpc.datasets.images import read_png, shrunk

HERE = Path(__file__).resolve().parent
SIZE, KEPT = 15, 5


def main() -> None:
    """Write the archive; entries are dated alike, so that it is the same every time."""
    with (
        zipfile.ZipFile(sys.argv[1]) as source,
        zipfile.ZipFile(HERE / "images.zip", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        names = [n for n in sorted(source.namelist()) if n.endswith(".png") and "MACOSX" not in n]
        for name in names:
            if int(Path(name).stem.split("_")[1]) > KEPT:
                continue
            small = shrunk(read_png(source.read(name))[None], SIZE)[0]
            file = io.BytesIO()
            imsave(file, np.repeat(small[..., None], 3, axis=2), format="png", metadata={})
            entry = zipfile.ZipInfo("/".join(Path(name).parts[-3:]), (2020, 1, 1, 0, 0, 0))
            target.writestr(entry, file.getvalue(), zipfile.ZIP_DEFLATED)


if __name__ == "__main__":
    main()
