"""Exact arithmetic: NumPy code, unmodified, on arrays of balls of arbitrary precision.

A ball is a number with a proven error radius (python-flint's ``arb``). ``array`` is the array
type, ``functions`` what NumPy and SciPy functions do on it, ``standin`` what takes the place of
``numpy``, ``scipy.special`` and ``math`` in the code under test, ``precision`` raises the number
of bits until a result is sure, ``tensor`` carries the same arithmetic under torch.
"""
