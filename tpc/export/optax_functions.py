"""Transformations that optax lacks, as text of the pasted file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

_SIGN = '''

def sign(lr):
    """Return descent along signs of gradients."""
    return optax.chain(entrywise(lambda gradient, _: jax.numpy.sign(gradient)), optax.scale(-lr))
'''

_ADAFACTOR = '''

def adafactor(lr, decay, decay_rate, threshold):
    """Return steps relative to the size of the weight, with factored second moments."""

    def relative(gradient, weight):
        size = jax.numpy.sqrt(jax.numpy.mean(weight**2))
        return gradient * jax.numpy.where(size > 0, size, 1.0)

    return optax.chain(
        optax.scale_by_factored_rms(decay_rate=decay_rate, min_dim_size_to_factor=1),
        optax.clip_by_block_rms(threshold),
        entrywise(relative),
        optax.add_decayed_weights(decay),
        optax.scale(-lr),
    )
'''

_MUON = '''

def muon(lr, decay, beta, nesterov):
    """Return momentum with singular values replaced by one."""

    def orthogonal(x, _):
        p, s, q = jax.numpy.linalg.svd(x, full_matrices=False)
        floor = s.max(-1, keepdims=True) * max(x.shape[-2:]) * jax.numpy.finfo(x.dtype).eps
        return (p * (s > floor)[..., None, :]) @ q

    return optax.chain(
        optax.trace(decay=beta, nesterov=nesterov),
        entrywise(orthogonal),
        optax.add_decayed_weights(decay),
        optax.scale(-lr),
    )
'''

_ENTRYWISE = '''

def entrywise(function):
    """Return the transformation that applies a function of gradient and weight to every leaf."""

    def update(gradients, weights):
        return jax.tree_util.tree_map(function, gradients, weights)

    return optax.stateless(update)
'''

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {"sign": _SIGN, "adafactor": _ADAFACTOR, "muon": _MUON}
)


def functions(names: Iterable[str]) -> Iterator[str]:
    """Yield the text of the functions that these optimizers need."""
    found = [FUNCTIONS[name] for name in names if name in FUNCTIONS]
    if found:
        yield _ENTRYWISE
        yield from found
