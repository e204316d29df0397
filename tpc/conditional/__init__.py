"""Kernels of programs with finitely many random numbers in the middle: averages over these."""
