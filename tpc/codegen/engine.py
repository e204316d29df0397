"""The part of generated modules that is the same in all: Gram matrices band by band.

A *band* is some rows of the kernel. Its Gram matrices of the inputs are products of matrices
(BLAS, on all cores); then every core computes rows of the recursion. Where the kernel is
symmetric, only columns from a row's own on are computed, then mirrored.
"""

ENGINE = '''\
STRIP = 128  # rows that are multiplied at a time: less is wasted left of the diagonal


@njit(**OPTIONS)
def mirror(first, stride, top, height, left, source, result):
    """Copy rows top to top + height of source, right of the diagonal, to columns of result.

    Row i of source is row ``left + i`` of the kernel.
    """
    block = 32
    size = result.shape[1]
    for side in range(left // block * block + first * block, size, stride * block):
        for e in range(result.shape[0]):
            for up in range(0, height, block):
                for j in range(max(side, left + up), min(side + block, size)):
                    row = result[e, j]
                    for i in range(up, min(up + block, height)):
                        if left + i < j:
                            row[left + i] = source[e, top + i, j]


def in_threads(pool, function, *arguments):
    """Run ``function(first, stride, *arguments)`` on all cores: compiled code holds no lock."""
    if pool is None:
        function(0, 1, *arguments)
        return
    jobs = [pool.submit(function, first, THREADS, *arguments) for first in range(THREADS)]
    for job in jobs:
        job.result()


def workers():
    """Return a pool of threads as a context, one per core (None for a single core)."""
    return ThreadPoolExecutor(THREADS) if THREADS > 1 else contextlib.nullcontext()


def prepare(X, X2=None, tolerance=TOLERANCE):
    """Return what bands need of the samples: slices to multiply, tables, series.

    Raises ValueError for wrong shapes.
    """
    data = samples(X)
    data2 = data if X2 is None else samples(X2)
    parts = {}
    for side, given in ((0, data), (1, data2)):
        for _, *ends in GRAMS:
            key = (id(given), ends[side])
            if key not in parts:
                parts[key] = input_slice(given, *ends[side])
    grams = [(way, parts[id(data), a], parts[id(data2), b]) for way, a, b in GRAMS]
    norms = [
        [row_norms(pair[side]) for _, *pair in grams] for side in (0, 1)
    ]
    left = describe(data, tolerance)
    right = left if X2 is None else describe(data2, tolerance)
    return {
        "rows": left[0].shape[1],
        "columns": right[0].shape[1],
        "symmetric": X2 is None and SYMMETRIC,
        "grams": grams,
        "norms": [np.array(side).reshape(len(grams), -1 if grams else 0) for side in norms],
        "left": left[0],
        "left_series": [np.ascontiguousarray(s) for s in left[1]],
        "right": right[0],
        "right_series": [np.ascontiguousarray(s.T) for s in right[1]],
        "own": left[2] if X2 is None else None,
        "tolerance": tolerance,
    }


def workspace(prepared, height):
    """Return buffers for the input Gram matrices of a band of so many rows."""
    return [np.empty((height, prepared["columns"])) for _ in prepared["grams"]]


def band(prepared, first, last, result, top, buffers, pool=None):
    """Write rows first to last of the kernel to rows from ``top`` on of ``result``.

    ``result`` has shape (ENTRIES, rows, columns); where the kernel is symmetric only its entries
    right of the diagonal are written, and those on it.
    """
    height = last - first
    symmetric = prepared["symmetric"]
    grams = [buffer[:height] for buffer in buffers]
    for (multiply, a, b), gram in zip(prepared["grams"], grams):
        for up in range(first, last, STRIP):
            down, begin = min(up + STRIP, last), up if symmetric else 0
            multiply(a[up:down], b[begin:], gram[up - first : down - first, begin:])
    left = np.ascontiguousarray(prepared["left"][:, first:last])
    series = [s[first:last] for s in prepared["left_series"]] + prepared["right_series"]
    shift = first if symmetric else -height
    if grams:
        grams.append(np.ascontiguousarray(prepared["norms"][0][:, first:last]))
        grams.append(prepared["norms"][1])
    arguments = (*grams, prepared["tolerance"], left, prepared["right"], *series, result)
    in_threads(pool, pairs, height, top, shift, *arguments)
    if prepared["own"] is not None:
        for entry, values in enumerate(prepared["own"]):
            rows = np.arange(height)
            result[entry, top + rows, first + rows] = values[first:last]


def evaluate(X, X2=None, tolerance=TOLERANCE, strict=True):
    """Return the kernel, shape (N, N2) followed by the kept output axes twice.

    X: samples of shape (N, *input shape), or a dict of them by input name; X2 likewise (X itself by
    default). Raises ValueError for wrong shapes, and ArithmeticError where an expectation without a
    closed form misses the tolerance (relative to the second moments of what is averaged);
    without ``strict`` such entries are NaN.
    """
    prepared = prepare(X, X2, tolerance)
    rows, columns = prepared["rows"], prepared["columns"]
    result = np.empty((ENTRIES, rows, columns))
    height = min(256, max(rows, 1))
    buffers = workspace(prepared, height)
    with workers() as pool:
        for first in range(0, rows, height):
            last = min(first + height, rows)
            band(prepared, first, last, result, first, buffers, pool)
            if prepared["symmetric"]:
                in_threads(pool, mirror, first, last - first, first, result, result)
    if strict and np.isnan(result).any():
        raise ArithmeticError(f"an expectation was not computed to {tolerance:g}")
    if not AXES:
        return result[0]
    return np.moveaxis(result, 0, -1).reshape(*result.shape[1:], *AXES, *AXES)
'''
