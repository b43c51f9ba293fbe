"""Exact arithmetic: NumPy code, unmodified, on arrays of balls of arbitrary precision.

A ball is a number with a proven error radius (python-flint's ``arb``). ``array`` is the array
type; what functions do on it stand in ``ufuncs``, ``functions``, ``ordering`` and ``borrowed``
(NumPy's own code, copied). ``names`` are what takes the place of ``numpy``, ``scipy.special`` and
``math`` in the code under test, ``standin`` puts it there. ``precision`` raises the number of bits
until a result is sure, ``tensor`` carries the same arithmetic under torch.
"""
