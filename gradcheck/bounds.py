"""Every number that decides a verdict: its name, its derivation, its one home."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FORMULA_TOLERANCE = 1e-13
"""Relative. In balls nothing rounds but what the code under test rounds itself: its Python-float
constants (1/N, sqrt(2/pi)), each to 1.1e-16. A formula may combine some hundreds of them before
they explain a difference of 1e-13; a wrong formula is off by its own size."""

TRIALS = 6
"""Random directions along which an output must behave as if it bent one way, beside ones and those of the search."""

SHAKE = 2.0**-20
"""Share by which each entry of a direction is shaken on the way to a gradient nearby: enough to leave every other
kink by 2^40 of the step that the gradient is taken with, too little to reach another one in most cases."""

MOST_VERTICES = 64
"""Gradients nearby that a search among subgradients gathers before it gives up. A gradient of n entries may take
n + 1 of them to mix, so that one with more entries than this is not looked at as a mixture."""

FEW_SHAKES = 2
"""Those that an error of more than FLOAT_TOLERANCE gets: constants explain it only where code is conditioned worse than 1e7."""

MOST_BALLS = 2**21
"""Operations on balls, each a microsecond or two, that a search among subgradients may cost."""

MEMBER = 2.0**-40
"""Share of the largest entry: how near a gradient must be to a mixture of gradients nearby to be one. Those are known
to 2^-53, and least squares over at most MOST_VERTICES of them keep some 2^-45."""

MOST_LOOKS = 256
"""Looks along coordinates that a mismatch may cost. Where the entries want more, bisection finds wrong ones."""

MOST_WRONG = 64
"""Wrong entries that bisection finds before it stops: more do not tell more."""

SAMPLE = 64
"""Other entries that are looked at beside them: an explanation must fit these as well."""

ENTRIES_AGREE = 64
"""Times FORMULA_TOLERANCE (or FLOAT_TOLERANCE): how well an explanation must fit every entry. It is
looked for only where an entry is wrong for sure; two sides with rounded constants of their own, and
the scale of each entry in place of the sum, take some powers of two."""

SHARP = 4 * FORMULA_TOLERANCE
"""A gradient that is right, where so small an error would have shown, refutes an error that spares no point."""

EXACT_AGREEMENT = 2.0**-200
"""Share of the sum of magnitudes. A right gradient without rounded constants agrees to the truncation
error, 2^-240 and the third derivative; what differs by more is looked at entry by entry, so that a
wrong entry shows however small it is beside the others (down to 1e-47 of them)."""

SHORT = 2.0**10
"""Constants that are whole multiples of its inverse (1/2, 3, 0.125) are what was meant; any other may have been rounded."""

CONSTANT_ROUNDINGS = 8
"""Constants are rounded, some of them (1 - 1/N, sqrt(2/pi)) more than once: a difference within this many
times what one rounding of the constants moves it by is no wrong formula. In values, what one rounding of the inputs
moves stands for that."""

SHAKES = 8
"""Ways in which constants are moved, each by one rounding up or down: that two constants move alike in all has a chance of 1/256."""


def constant_share(dtype: Any, rounding: float) -> float:
    """CONSTANT_ROUNDINGS of constants, each by ``rounding``, in terms of what one rounding *in dtype* moves."""
    return CONSTANT_ROUNDINGS * max(rounding, 2.0**-53) / (float(np.finfo(dtype).eps) / 2)


def half_the_digits(rounding: float) -> float:
    """What rounded constants may explain at most: half the digits of the coarsest, and of float64 at least (FLOAT_TOLERANCE)."""
    return max(FLOAT_TOLERANCE, math.sqrt(2 * rounding))


SEEN = 2 * FORMULA_TOLERANCE
"""The smallest relative error of an entry that is found: the tolerance of its size and of its weight, at least as large."""

ALIKE = EXACT_AGREEMENT / SEEN
"""Share of the scale: a term at least so large shows an error of SEEN in the sum. Smaller ones are summed by themselves."""

WELL_BELOW = 2.0**-20
"""A radius this far below the tolerance cannot sway a verdict."""

ENOUGH_BITS = 100
"""Of a value that is compared with floats of 53 bits, and with itself where an input has moved by one of those."""

START_BITS = 384
"""Enough for a central difference with a step of 2^-120 (which cancels 120 bits) to keep more
than 128 bits of 256 for functions whose intermediate values span 100 binary orders."""

TIE_BITS = 1536
"""A comparison still undecided here is a tie, and a ball that still holds zero here is zero: what
is not zero is below 2^-1400 of its surroundings, far under the range of every floating dtype."""

MOST_BITS = 6144
"""Where raising stops: values like e^-3000 beside 1 need 4,400 bits."""

SMALLEST = 2.0**-1074
"""The smallest float64: values closer than this are one and the same float."""

SMALLEST_NORMAL = 2.0**-1022
"""What a float64 reference that cannot be run in balls may be off by in all: below it, its intermediate results have lost digits."""

QUICK_ULPS = 64
"""A float64 reference within so many ulps of the exact value needs no second look; a formula
that is wrong by less than 1e-14 of its value is below FORMULA_TOLERANCE."""

ROUGHLY = 2.0**-6
"""A gradient this near to torch's float64 may be the same one that torch has lost digits of: worth an exact look."""

FLOAT_TOLERANCE = 2.0**-26
"""Relative, where only floats are to be had: half the digits of float64. Above it rounding no
longer looks like a wrong formula in well-conditioned code; what is worse conditioned shows in
the error bound of the numeric way, and is inconclusive."""

CANCELS = 6.0
"""The chance that errors in several entries cancel along a random direction. With the others fixed, the part of the
largest, e |u|, must fall into an interval twice as wide as what is seen; |u| is log-uniform on [1/2, 2), with a density
of at most 2 / log 4 = 1.44 and a size of at most 2. Where e is r times the smallest relative error seen, that makes
2 * 1.44 * 2 / r, or less than 6 / r."""

EXACT_MISS = 2.0**-50
"""That chance in balls, where what is seen has no size to speak of: one of the 2^52 magnitudes of the last entry, rounded up."""

LARGE_ERROR = 1e-2
"""Relative. No entry passes in floats unless an error of this size in it is ruled out; the chance of a miss is that of missing one."""

FIRST_STEP = 2.0**-13 * 1.189207115002721
"""Of a float difference, relative: extrapolated once, the truncation error is about its fourth power, 2^-52, its
bound the square, 2^-26 and a small factor, and the rounding error EPS over it, 2^-39. It is no power of two, so that
values with few bits come from code that works with few, and not by chance."""

FARTHEST = 2.0**6
"""Times FIRST_STEP: the fourth power of the step, the truncation error, is then 2^-28, a quarter of FLOAT_TOLERANCE."""

STEP_CHANGE = 8.0
"""By which the step grows where rounding dominates the bound, and shrinks where truncation does, or a kink or an edge is near."""

STEP_RANGE = (2.0**-37, 2.0**-3)
"""Smaller steps leave no more than four digits (2^-15), larger ones leave the neighbourhood."""

MOST_STEPS = 9
"""Tried for one slope: the first, and as far as the end of STEP_RANGE."""

NOISE = 2.0
"""Times the larger of one rounding and the fourth difference over its norm: what one value may be off by."""

DWARFED = 2.0**-10
"""Share of the largest term of a sum of floats: smaller ones are summed by themselves, with such as are of like size."""

EVENED = (2.0**-14, 2.0**6)
"""How much less, and more, than its own scale an entry may move so that all terms of a sum of floats have like sizes. The
first leaves it FIRST_STEP * 2^-14 = 2^-27 of its size, of which a rounding takes 2^-25; the second makes that 2^-7,
whose fourth power, the truncation error, is 2^-28."""

LEAST_SCALE = 2.0**-10
"""Share of the median entry: the scale of smaller ones, for which a step relative to themselves would vanish beside the others."""

KINK_STAYS = 0.75
"""The slopes to the two sides differ alike at a step and at half of it at a kink (a ratio of 1), half
as much in smooth code (1/2); halfway between lies the decision."""

STEP_BITS = 120
"""The step of the exact central difference is 2^-120 of the smallest input: the truncation error
is its square, 2^-240 of the third derivative, thirty digits beyond FORMULA_TOLERANCE."""

CONFIRM_BITS = 60
"""A difference, or a kink, counts only if it stays when the step shrinks by a further 2^-60."""

KINK_GAP = 2.0**-60
"""One-sided slopes of a smooth function differ by about step * f'', 2^-120; where they differ by
more than this share of the slopes, it is looked at again with a smaller step."""

KINK_SHRINKS = 2.0 ** (-CONFIRM_BITS / 2)
"""When the step shrinks by 2^-CONFIRM_BITS, the gap between the two sides shrinks as much in smooth code, not at
all at a kink; halfway between, on a logarithmic scale, lies the decision."""

CLOSES_IN = 0.5
"""A slope has a limit if its change at least halves when the step shrinks by 2^-CONFIRM_BITS: that of
x^(1 + a) changes 2^(60 a) times less, that of x log x as much as before, that of a root ever more."""

FEW_ENTRIES = 32
"""Entries of an input that are moved one by one before accuracy is called lost, whatever its structure: two evaluations each."""

NEAR_MAX = 1 - 2.0**-8
"""Share of the largest finite number: above it, a sound evaluation may overflow by its last roundings."""

ULPS_PER_STEP = 4
"""NumPy documents its vectorised elementary functions within 4 ulp; arithmetic is within 1/2."""


def amplification_limit(steps: int) -> float:
    """What a sound evaluation of ``steps`` roundings may amplify the unavoidable error by.

    If no intermediate result is worse conditioned than the problem, each rounding adds at most
    its own few ulps. ``steps`` are counted by the exact run: one for an array operation, n for
    a sum of n.
    """
    return float(ULPS_PER_STEP * (steps + 1))
