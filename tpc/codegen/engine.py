"""The part of generated modules that is the same in all: Gram matrices tile by tile.

A *band* is some rows of the kernel; it is cut into *tiles*. Every core takes one tile after the
other: the product of the inputs (BLAS, one thread), then the recursion while that is in the cache,
then the mirror image. Where the kernel is symmetric, only tiles from the diagonal on are computed.
"""

import ast
import inspect

from tpc.codegen.text import plain
from tpc.runtime import blas


def _blas() -> list[str]:
    tree = ast.parse(inspect.getsource(blas)).body
    kept = (ast.Assign, ast.FunctionDef)
    return [ast.unparse(plain(node)) for node in tree if isinstance(node, kept)]


BLAS = _blas()
"""How BLAS is told to take one thread, as definitions."""

ENGINE = '''\
@njit(**OPTIONS)
def mirror(top, height, left, begin, end, source, result):
    """Copy rows top to top + height of source, right of the diagonal, to columns of result.

    Row i of source is row ``left + i`` of the kernel; only columns begin to end are copied.
    """
    block = 32
    for e in range(result.shape[0]):
        for up in range(0, height, block):
            down = min(up + block, height)
            for side in range(begin, end, block):
                for j in range(max(side, left + up + 1), min(side + block, end)):
                    row = result[e, j]
                    for i in range(up, min(down, j - left)):
                        row[left + i] = source[e, top + i, j]


def on_all_cores(pool, function, places):
    """Call ``function(*place)`` for all places, each as soon as a core is free."""
    if pool is None or len(places) == 1:
        for place in places:
            function(*place)
        return
    for job in [pool.submit(function, *place) for place in places]:
        job.result()


@contextlib.contextmanager
def workers():
    """Yield a pool of threads, one per core (None for a single core); BLAS has one in each."""
    with one_blas_thread():
        if THREADS == 1:
            yield None
            return
        with ThreadPoolExecutor(THREADS) as pool:
            yield pool


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
    sizes = {id(part): row_norms(part) for part in parts.values()}
    norms = [[sizes[id(pair[side])] for _, *pair in grams] for side in (0, 1)]
    left, right = sides(data, None if X2 is None else data2, tolerance)
    rights = [np.ascontiguousarray(s.T) for s in right[1]]
    lefts = rights if X2 is None else [np.ascontiguousarray(s.T) for s in left[1]]
    return {
        "rows": left[0].shape[1],
        "columns": right[0].shape[1],
        "symmetric": X2 is None and SYMMETRIC,
        "grams": grams,
        "norms": [np.array(side).reshape(len(grams), -1 if grams else 0) for side in norms],
        "left": left[0],
        "left_series": [s.T for s in lefts],
        "right": right[0],
        "right_series": rights,
        "own": left[2] if X2 is None else None,
        "tolerance": tolerance,
    }


def sides(data, data2, tolerance):
    """Return what pairs need of the samples of either side.

    Series that were cut at different lengths would leave more out than either of them says: both
    sides are then described together.
    """
    left = describe(data, tolerance)
    if data2 is None:
        return left, left
    right = describe(data2, tolerance)
    if all(a.shape[1] == b.shape[1] for a, b in zip(left[1], right[1], strict=True)):
        return left, right
    joined = {name: np.concatenate([data[name], data2[name]]) for name in data}
    table, series, own = describe(joined, tolerance)
    count = left[0].shape[1]
    return tuple(
        (np.ascontiguousarray(table[:, part]), [s[part] for s in series], [v[part] for v in own])
        for part in (slice(None, count), slice(count, None))
    )


def tile_side(prepared):
    """Return rows and columns of a tile: what it needs stays in the cache, all cores have some."""
    longest = max(prepared["rows"], prepared["columns"])
    most = min(TILE, math.isqrt(2**20 // max(len(prepared["grams"]), 1)))
    return max(32, min(most, -(-longest // (7 * 32)) * 32))


def workspace(prepared, height):
    """Return buffers for the input Gram matrices of tiles in bands of a height, for each core."""
    side, count = tile_side(prepared), len(prepared["grams"])
    shape = (max(min(side, height), 1), side)
    return [[np.empty(shape) for _ in range(count)] for _ in range(THREADS)]


def band(prepared, first, last, result, top, buffers, pool=None, both=False):
    """Write rows first to last of the kernel to rows from ``top`` on of ``result``.

    ``result`` has shape (ENTRIES, rows, columns); where the kernel is symmetric only its entries
    right of the diagonal are written, and those on it; with ``both`` also their mirror images.
    """
    symmetric, columns = prepared["symmetric"], prepared["columns"]
    norms, series = prepared["norms"], prepared["left_series"]
    side = tile_side(prepared)
    free = list(buffers)

    def tile(up, down, base, end):
        own = free.pop()
        for (multiply, a, b), gram in zip(prepared["grams"], own):
            multiply(a[up:down], b[base:end], gram[: down - up, : end - base])
        given = [*own]
        if own:
            given += [np.ascontiguousarray(norms[0][:, up:down]), norms[1]]
        given += [prepared["tolerance"], np.ascontiguousarray(prepared["left"][:, up:down])]
        rows = (np.ascontiguousarray(s[up:down]) for s in series)
        given += [prepared["right"], *rows, *prepared["right_series"]]
        shift = up if symmetric else -side
        pairs(down - up, top + up - first, shift, base, end, *given, result)
        free.append(own)
        if both:
            mirror(top + up - first, down - up, up, base, end, result, result)

    ups = range(first, last, side)
    places = [
        (up, min(up + side, last), base, min(base + side, columns))
        for up in ups
        for base in range(up if symmetric else 0, columns, side)
    ]
    on_all_cores(pool, tile, places or [(first, first, 0, 0)])  # an empty band compiles
    if prepared["own"] is not None:
        for entry, values in enumerate(prepared["own"]):
            rows = np.arange(last - first)
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
    with workers() as pool:
        both = prepared["symmetric"]
        band(prepared, 0, rows, result, 0, workspace(prepared, rows), pool, both)
    if strict and np.isnan(result).any():
        raise ArithmeticError(f"an expectation was not computed to {tolerance:g}")
    if not AXES:
        return result[0]
    return np.moveaxis(result, 0, -1).reshape(*result.shape[1:], *AXES, *AXES)
'''
