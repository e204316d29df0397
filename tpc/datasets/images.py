"""Small images: reading PNG files, and scaling them down."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def read_png(content: bytes) -> np.ndarray:
    """Return a grey image (rows, columns), 0 black and 1 white; colours are averaged.

    Raises:
        ValueError: it is no PNG image.
    """
    import numpy as np
    from matplotlib.image import imread

    try:
        image = np.asarray(imread(BytesIO(content), format="png"), dtype=float)
    except Exception as error:  # the reader of images raises what it likes
        raise ValueError(str(error) or type(error).__name__) from error
    return image if image.ndim == 2 else image[..., :3].mean(axis=-1)


def shrinking(source: int, size: int) -> np.ndarray:
    """Return the matrix (size, source) that scales a row of pixels down.

    A pixel of the result is the average of the pixels around its place, with weights that fall
    linearly to zero at a distance of one of its own pixels (the triangle filter that image
    libraries call bilinear with antialiasing).
    """
    import numpy as np

    ratio = source / size
    centres = (np.arange(size)[:, None] + 0.5) * ratio
    places = np.arange(source)[None, :] + 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(places - centres) / max(ratio, 1.0))
    result: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return result


def shrunk(images: np.ndarray, size: int) -> np.ndarray:
    """Return images (N, rows, columns) of values 0..1 as (N, size, size) bytes 0..255."""
    import numpy as np

    _, rows, columns = images.shape
    small = np.matmul(shrinking(rows, size), images) @ shrinking(columns, size).T
    result: np.ndarray = np.rint(255.0 * small).clip(0, 255).astype(np.uint8)
    return result
