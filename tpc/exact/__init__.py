"""Exact arithmetic: width exponents, real constants, and coefficients of the width."""
