"""Functions of single balls, where python-flint's own method does not do as NumPy does."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from flint import arb, ctx

from gradcheck.bounds import TIE_BITS
from gradcheck.exact.errors import NotExact, Undecided

ZERO, ONE, TWO, HALF = arb(0), arb(1), arb(2), arb(1) / 2


def ball(value: Any) -> arb:
    """``value`` (a Python or NumPy number, or a ball) as a ball, without rounding."""
    if type(value) is arb:
        return value
    if isinstance(value, complex):
        raise NotExact("complex numbers are not supported in exact arithmetic")
    if isinstance(value, int):
        return arb(int(value))
    try:
        number = float(value)
    except TypeError:
        raise NotExact(f"{type(value).__name__} cannot be made exact") from None
    if number in (float("inf"), float("-inf")):
        return arb.pos_inf() if number > 0 else arb.neg_inf()
    return arb(number)


def _decide(holds: Callable[[Any, Any], bool], fails: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    same = holds(ZERO, ZERO)

    def compare(a: Any, b: Any) -> bool:
        if a is b and not a.is_nan():  # one and the same number, however wide its ball
            return same
        if holds(a, b):
            return True
        if fails(a, b):
            return False
        raise Undecided(f"comparison of {a.str(8)} with {b.str(8)}")

    return compare


greater = _decide(operator.gt, operator.le)
greater_equal = _decide(operator.ge, operator.lt)
less = _decide(operator.lt, operator.ge)
less_equal = _decide(operator.le, operator.gt)
equal = _decide(operator.eq, operator.ne)
not_equal = _decide(operator.ne, operator.eq)


def larger(a: arb, b: arb) -> arb:
    """The larger of two; the very object where it is decided, so that x == x.max() can be."""
    return a if a >= b else b if b > a else a.max(b)


def smaller(a: arb, b: arb) -> arb:
    return a if a <= b else b if b < a else a.min(b)


def log(a: arb) -> arb:
    return arb.neg_inf() if a == 0 else a.log()


def truth(a: arb) -> bool:
    return not_equal(a, ZERO)


def sign(a: arb) -> arb:
    return arb(1) if greater(a, ZERO) else arb(-1) if less(a, ZERO) else ZERO


def integer(a: arb) -> int:
    """``a`` truncated towards zero; raises ``Undecided`` near an integer from below."""
    whole = (a.floor() if greater_equal(a, ZERO) else a.ceil()).unique_fmpz()
    if whole is None:
        raise Undecided(f"integer part of {a.str(8)}")
    return int(whole)


def rint(a: arb) -> arb:
    """The nearest integer, ties to even."""
    low = (a - HALF).ceil().unique_fmpz()
    high = (a + HALF).floor().unique_fmpz()
    if low is None or high is None:
        raise Undecided(f"rounding of {a.str(8)}")
    return arb(low if low == high or low % 2 == 0 else high)


def power(a: arb, b: arb) -> arb:
    """``a ** b``; roots of zero and negative bases with integer exponents are exact."""
    if b.is_exact() and b.is_integer():
        n = int(b.unique_fmpz())
        return a**n if abs(n) < 2**20 else a**b
    if b.is_exact() and (b * 2).is_integer() and abs(b) < 64:
        root = a.sqrt()
        return root ** int((b * 2).unique_fmpz())
    return ZERO if a == 0 and b > 0 else a**b


def floor_divide(a: arb, b: arb) -> arb:
    return (a / b).floor()


def remainder(a: arb, b: arb) -> arb:
    return a - b * (a / b).floor()


def fmod(a: arb, b: arb) -> arb:
    return a - b * integer(a / b)


def fractional(a: arb) -> arb:
    return a - integer(a)


def xlogy(x: arb, y: arb) -> arb:
    return ZERO if x == 0 else x * y.log()


def xlog1py(x: arb, y: arb) -> arb:
    return ZERO if x == 0 else x * y.log1p()


def entr(p: arb) -> arb:
    return -xlogy(p, p)


def rel_entr(p: arb, q: arb) -> arb:
    return ZERO if p == 0 else p * (p / q).log()


def kl_div(p: arb, q: arb) -> arb:
    return rel_entr(p, q) - p + q


def expit(x: arb) -> arb:
    return ONE / (ONE + (-x).exp()) if x >= 0 or not x < 0 else _expit_negative(x)


def _expit_negative(x: arb) -> arb:
    e = x.exp()
    return e / (ONE + e)


def softplus(x: arb) -> arb:
    return x.exp().log1p() if x < 0 else x + (-x).exp().log1p()


def log_expit(x: arb) -> arb:
    return -softplus(-x)


def logit(p: arb) -> arb:
    return (p / (ONE - p)).log()


def logaddexp(a: arb, b: arb) -> arb:
    if a == arb.neg_inf():
        return b
    if b == arb.neg_inf():
        return a
    return a + softplus(b - a) if not a < b else b + softplus(a - b)


def logaddexp2(a: arb, b: arb) -> arb:
    return logaddexp(a * TWO.log(), b * TWO.log()) / TWO.log()


def ndtr(x: arb) -> arb:
    return (-x / TWO.sqrt()).erfc() / 2


def log_ndtr(x: arb) -> arb:
    return (-ndtr(-x)).log1p() if x > 0 else ndtr(x).log()


def cbrt(a: arb) -> arb:
    return ZERO if a == 0 else a.root(3) if a > 0 else -((-a).root(3))


def hypot(a: arb, b: arb) -> arb:
    return (a * a + b * b).sqrt()


def gammaln(a: arb) -> arb:
    """log |gamma(a)|, for negative numbers too."""
    return abs(a.gamma()).log() if a < 0 else a.lgamma()


def huber(delta: arb, r: arb) -> arb:
    return r * r / 2 if less_equal(abs(r), delta) else delta * (abs(r) - delta / 2)


def known(a: arb) -> bool:
    """Whether ``a`` is a number, an infinity or a NaN for sure, and not a ball of which nothing is known (such as 0 / 0)."""
    return bool(a.is_finite() or a.is_exact())


def isnan(a: arb) -> bool:
    if not known(a) and ctx.prec < TIE_BITS:
        raise Undecided(f"whether {a.str(8)} is a number")
    return bool(a.is_nan())


def isfinite(a: arb) -> bool:
    return not isnan(a) and bool(a.is_finite())


def to_number(a: arb, nan: arb, most: arb, least: arb) -> arb:
    """``a``, or what takes its place where it is not finite."""
    if a.is_finite():
        return a
    if not known(a):
        raise Undecided(f"whether {a.str(8)} is a number")
    return nan if a.is_nan() else most if a > 0 else least


def fmax(a: arb, b: arb) -> arb:
    return b if isnan(a) else a if isnan(b) else larger(a, b)


def fmin(a: arb, b: arb) -> arb:
    return b if isnan(a) else a if isnan(b) else smaller(a, b)


def isinf(a: arb) -> bool:
    return bool(a == arb.pos_inf() or a == arb.neg_inf())
