"""Matrix products: of the many zeros of a sparse factor, none is multiplied."""

from tpc.products.choose import matrix_product

__all__ = ["matrix_product"]
