"""Named parametrizations: which role each weight plays, and the exponents that the role gets."""

from tpc.parametrize.fill import parametrize
from tpc.parametrize.roles import Role, roles

__all__ = ["Role", "parametrize", "roles"]
