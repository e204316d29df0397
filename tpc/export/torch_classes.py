"""Optimizers that torch lacks, or means otherwise, as text of the pasted file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

_BASE = '''

class Directed(torch.optim.Optimizer):
    """Weights move by lr times a direction; weight decay acts on the weight, or on the gradient."""

    decoupled = True

    def __init__(self, groups, **options):
        super().__init__(groups, {"lr": 1e-3, "weight_decay": 0.0, **options})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self.move(weight, group)
        return loss

    def move(self, weight, group):
        gradient, decay = weight.grad, group["weight_decay"]
        if decay and not self.decoupled:
            gradient = gradient + decay * weight
        direction = self.direction(gradient, weight, self.state[weight], group)
        if decay and self.decoupled:
            weight.mul_(1.0 - group["lr"] * decay)
        weight.sub_(group["lr"] * direction)
'''

_SIGN = """

class Sign(Directed):
    decoupled = False

    def direction(self, gradient, weight, state, group):
        return torch.sign(gradient)
"""

_LION = """

class Lion(Directed):
    def direction(self, gradient, weight, state, group):
        first, second = group["betas"]
        mean = state.setdefault("mean", torch.zeros_like(gradient))
        found = torch.sign(first * mean + (1.0 - first) * gradient)
        mean.mul_(second).add_(gradient, alpha=1.0 - second)
        return found
"""

_ADAFACTOR = '''

class Adafactor(Directed):
    """Factored second moments over the last two axes; steps relative to the weight's size."""

    def direction(self, gradient, weight, state, group):
        step = state["step"] = state.get("step", 0) + 1
        beta, square = 1.0 - step ** -group["decay_rate"], gradient**2

        def averaged(name, value):
            state[name] = beta * state.get(name, 0.0) + (1.0 - beta) * value
            return state[name]

        if gradient.dim() < 2:
            second = averaged("second", square)
        else:
            rows = averaged("rows", square.mean(dim=-1))
            columns = averaged("columns", square.mean(dim=-2))
            total = rows.mean(dim=-1)[..., None, None]
            second = torch.nan_to_num(rows[..., None] * columns[..., None, :] / total)
        found = torch.where(second > 0, gradient / second.sqrt(), 0.0)
        found = found / max(1.0, root_mean_square(found) / group["threshold"])
        return found * (root_mean_square(weight) or 1.0)


def root_mean_square(x):
    return float(x.pow(2).mean().sqrt())
'''

_MUON = '''

class Muon(Directed):
    """Momentum with singular values replaced by one (of each pixel's matrix in a convolution)."""

    def direction(self, gradient, weight, state, group):
        mean = state.setdefault("mean", torch.zeros_like(gradient))
        mean.mul_(group["beta"]).add_(gradient)
        mixed = gradient + group["beta"] * mean if group["nesterov"] else mean
        return orthogonal(mixed.movedim((0, 1), (-2, -1))).movedim((-2, -1), (0, 1))


def orthogonal(x):
    """Return the polar factor; a few Newton-Schulz steps approximate it faster."""
    p, s, q = torch.linalg.svd(x, full_matrices=False)
    floor = s.amax(dim=-1, keepdim=True) * max(x.shape[-2:]) * torch.finfo(x.dtype).eps
    return (p * (s > floor).to(x.dtype)[..., None, :]) @ q
'''

CLASSES: Mapping[str, str] = MappingProxyType(
    {"sign": _SIGN, "lion": _LION, "adafactor": _ADAFACTOR, "muon": _MUON}
)


def classes(names: Iterable[str]) -> Iterator[str]:
    """Yield the text of the classes that these optimizers need."""
    found = [CLASSES[name] for name in names if name in CLASSES]
    if found:
        yield _BASE
        yield from found
