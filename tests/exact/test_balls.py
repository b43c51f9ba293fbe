"""Single balls: decisions are sure or refused, special values are NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import flint
import numpy as np
import pytest
from flint import arb

from gradcheck.exact import balls
from gradcheck.exact.errors import NotExact, Undecided

TINY = arb(1) / 2**100
WIDE = arb(0, 1)  # from -1 to 1


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    with flint.ctx.workprec(192):
        yield


@pytest.mark.parametrize(
    ("decide", "below", "same", "above"),
    [
        (balls.greater, False, False, True),
        (balls.greater_equal, False, True, True),
        (balls.less, True, False, False),
        (balls.less_equal, True, True, False),
        (balls.equal, False, True, False),
        (balls.not_equal, True, False, True),
    ],
)
def test_decisions(decide: Callable[[Any, Any], bool], below: bool, same: bool, above: bool) -> None:
    assert [decide(1 - TINY, arb(1)), decide(arb(1), arb(1)), decide(1 + TINY, arb(1))] == [below, same, above]
    with pytest.raises(Undecided):
        decide(arb(1, 0.25), arb(1))
    with pytest.raises(Undecided):
        decide(arb("nan"), arb(1))


@pytest.mark.parametrize(
    ("function", "ball"),
    [(balls.sign, WIDE), (balls.truth, WIDE), (balls.integer, WIDE), (balls.integer, arb(3, 0.1)), (balls.rint, arb(2.5, 0.1))],
)
def test_what_the_radius_leaves_open_is_undecided(function: Callable[[arb], Any], ball: arb) -> None:
    with pytest.raises(Undecided):
        function(ball)


@pytest.mark.parametrize("x", [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -0.0, 0.49, -3.51, 1e15 + 0.5, 7.0])
def test_rounding_does_as_numpy(x: float) -> None:
    assert balls.rint(arb(x)) == np.rint(x)
    assert balls.integer(arb(x)) == int(x)
    assert balls.sign(arb(x)) == np.sign(x)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (2, 10),
        (0, 0),
        (0, 3),
        (-2, 3),
        (-2, -2),
        (0.25, 0.5),
        (0, 0.5),
        (2, -0.5),
        (9, 1.5),
        (-8, 2),
        (1.5, 0.3),
        (0, 0.3),
        (10, 300),
        (5, 0),
        (0.0, 2.5),
        (4, -3),
    ],
)
def test_power_does_as_numpy_and_is_exact_where_it_can_be(a: float, b: float) -> None:
    found = balls.power(arb(a), arb(b))
    assert float(found.mid()) == pytest.approx(float(np.power(float(a), float(b))), rel=1e-14)
    if (b == int(b) and 0 <= b < 100) or a in (0, 9, 0.25):
        assert found.is_exact()


@pytest.mark.parametrize(("a", "b"), [(-8, 1 / 3), (-1, 0.5), (0, -1), (0, -0.5)])
def test_power_gives_no_number_where_there_is_none(a: float, b: float) -> None:
    assert not balls.power(arb(a), arb(b)).is_finite()


@pytest.mark.parametrize(
    ("function", "args", "value"),
    [
        (balls.xlogy, (0, 0), 0),
        (balls.xlog1py, (0, -1), 0),
        (balls.entr, (0,), 0),
        (balls.rel_entr, (0, 0.5), 0),
        (balls.kl_div, (0, 0.5), 0.5),
        (balls.cbrt, (0,), 0),
        (balls.cbrt, (-27,), -3),
        (balls.hypot, (3, 4), 5),
        (balls.huber, (1, 0.5), 0.125),
        (balls.huber, (1, -3), 2.5),
        (balls.expit, (0,), 0.5),
        (balls.floor_divide, (-7, 2), -4),
        (balls.remainder, (-7, 2), 1),
        (balls.remainder, (7, -2), -1),
        (balls.gammaln, (3,), np.log(2)),
        (balls.gammaln, (-0.5,), 1.2655121234846454),
        (balls.logit, (0.5,), 0),
        (balls.power, (2, 0.5), 2**0.5),
        (balls.logaddexp, (-np.inf, 2), 2),
        (balls.logaddexp, (2, -np.inf), 2),
        (balls.logaddexp, (-np.inf, -np.inf), -np.inf),
        (balls.ndtr, (0,), 0.5),
    ],
)
def test_special_values(function: Callable[..., arb], args: tuple[float, ...], value: float) -> None:
    assert float(function(*(balls.ball(a) for a in args)).mid()) == pytest.approx(value, rel=1e-15, abs=1e-30)


@pytest.mark.parametrize(
    ("function", "x", "value"),
    [
        (balls.expit, -800, "3.67e-348"),
        (balls.softplus, -800, "3.67e-348"),
        (balls.log_expit, 800, "-3.67e-348"),
        (balls.softplus, 1e5, "1e5"),
        (balls.log_expit, -1e5, "-1e5"),
        (balls.expit, 1e5, "1"),
        (balls.log_ndtr, -50, "-1254.83"),
        (balls.log_ndtr, 40, "-3.66e-350"),
        (balls.ndtr, -40, "3.66e-350"),
    ],
)
def test_far_out_the_balls_stay_tight(function: Callable[[arb], arb], x: float, value: str) -> None:
    found = function(arb(x))
    assert found.rel_accuracy_bits() > 150
    assert bool(abs(found - arb(value)) < abs(found) / 100)


@pytest.mark.parametrize("name", ["expit", "softplus", "log_expit", "ndtr", "log_ndtr", "cbrt", "gammaln"])
def test_a_ball_across_the_seam_of_two_formulas_holds_both(name: str) -> None:
    function = getattr(balls, name)
    seam = 1e-10
    wide = function(arb(seam / 2, seam))
    for x in (-seam / 4, seam / 4, seam):
        assert not wide.is_finite() or wide.contains(function(arb(x)))


def test_infinities_are_told_apart() -> None:
    assert balls.isinf(arb.pos_inf())
    assert balls.isinf(arb.neg_inf())
    assert not balls.isinf(arb(3))
    assert not balls.isinf(arb("nan"))


@pytest.mark.parametrize("value", [1j, None, [1], "one"])
def test_what_is_no_real_number_is_refused(value: Any) -> None:
    with pytest.raises((NotExact, ValueError)):
        balls.ball(value)
