"""Distances and similarities of the rows of two arrays, shapes (batch, features) to (batch,).

Lengths are taken after a division by the largest entry, so that squares neither overflow nor vanish.
Where two rows coincide a distance has a kink; 0, one of the subgradients there, is taken.
"""

from __future__ import annotations

import numpy as np

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch

_NEAR = {"kinks": (0.0, 1.0)}
_FAR = {**_NEAR, "upto": 1e30}
_THIRD = Real("2", "3")
_THIRD_PAIR = Real("2", "2")


def _scaled(x):
    """The largest magnitude of each row, and the row over it."""
    top = np.max(np.abs(x), axis=-1, keepdims=True)
    return top, x / np.where(top > 0, top, 1)


def _length(x):
    top, ratios = _scaled(x)
    return top * np.sqrt(np.sum(ratios * ratios, axis=-1, keepdims=True))


def _is_a_metric(f, x, y, via, *options):
    """Symmetric, zero from a row to itself, never longer than the way through a third row."""
    direct = f(x, y, *options)
    through = f(x, via, *options) + f(via, y, *options)
    return equal(direct, f(y, x, *options)), equal(f(x, x, *options), 0), at_most(0, direct), at_most(direct, through)


@spec(
    "euclidean_distance", family="loss", x=Real("2", "3", **_FAR), y=Real("2", "3", **_FAR, ties="x"),
    torch=lambda x, y: torch.linalg.vector_norm(x - y, dim=-1),
)  # fmt: skip
def euclidean_distance(x, y):
    """sqrt(sum (x - y)^2) of each pair of rows, the length of their difference.

    The derivative with respect to x is (x - y) / distance, a direction of length 1; for y its negative.
    Reference: composed of torch primitives (torch's pairwise_distance adds an eps to the difference).
    Source: Deza and Deza, Encyclopedia of Distances (2009), section 1.1.
    """
    return _length(x - y)[:, 0]


@euclidean_distance.vjp
def _(dy, x, y, distance):
    ratios = _scaled(x - y)[1]
    length = np.sqrt(np.sum(ratios * ratios, axis=1, keepdims=True))
    slope = dy[:, None] * ratios / np.where(length > 0, length, 1)
    return slope, -slope


@euclidean_distance.law("is a metric: symmetric, zero to itself, never longer than a detour")
def _(f, x, y, via=_THIRD):
    return _is_a_metric(f, x, y, via)


@euclidean_distance.law("its square is |x|^2 + |y|^2 - 2 x.y")
def _(f, x, y):
    return equal(f(x, y) ** 2 + 2 * np.sum(x * y, axis=1), np.sum(x * x, axis=1) + np.sum(y * y, axis=1))


@euclidean_distance.exhibit("from |x|^2 + |y|^2 - 2 x.y, kept from falling below 0", expects=("N101", "N104"))
def _(x, y):
    square = np.sum(x * x, axis=1) + np.sum(y * y, axis=1) - 2 * np.sum(x * y, axis=1)
    return np.sqrt(np.maximum(square, 0))


@spec(
    "manhattan_distance", family="loss", x=Real("2", "3", **_FAR), y=Real("2", "3", **_FAR, ties="x"),
    torch=lambda x, y: (x - y).abs().sum(-1),
)  # fmt: skip
def manhattan_distance(x, y):
    """sum |x - y| of each pair of rows, the way along the axes.

    The derivative with respect to x is sign(x - y), for y its negative; where two entries are tied any number
    from -1 to 1 is a subgradient, and 0 is taken. Reference: composed of torch primitives.
    Source: Deza and Deza, Encyclopedia of Distances (2009), section 19.1.
    """
    return np.sum(np.abs(x - y), axis=1)


@manhattan_distance.vjp
def _(dy, x, y, distance):
    slope = dy[:, None] * np.sign(x - y)
    return slope, -slope


@manhattan_distance.law("is a metric: symmetric, zero to itself, never longer than a detour")
def _(f, x, y, via=_THIRD):
    return _is_a_metric(f, x, y, via)


@manhattan_distance.law("at least the Euclidean distance, at most sqrt(n) times it")
def _(f, x, y):
    straight = np.sqrt(np.sum((x - y) ** 2, axis=1))
    return at_most(straight, f(x, y)), at_most(f(x, y), np.sqrt(x.shape[1]) * straight)


@spec(
    "chebyshev_distance", family="loss", x=Real("2", "2", **_FAR), y=Real("2", "2", **_FAR, ties="x"),
    torch=lambda x, y: torch.linalg.vector_norm(x - y, ord=float("inf"), dim=-1),
)  # fmt: skip
def chebyshev_distance(x, y):
    """max |x - y| of each pair of rows: the largest of the differences.

    The derivative with respect to x is sign(x - y) at the largest difference and 0 elsewhere, for y its negative;
    several that are the largest share it evenly, as in torch. Reference: composed of torch primitives.
    Source: Deza and Deza, Encyclopedia of Distances (2009), section 19.1.
    """
    return np.max(np.abs(x - y), axis=1)


def _furthest(x, y):
    """The mask of the largest |x - y| of each row; differences that only rounding makes equal are told apart by what it took."""
    gap = x - y
    taken = gap - x
    rounding = ((x - (gap - taken)) - (y + taken)) * np.sign(gap)
    ties = np.abs(gap) == np.max(np.abs(gap), axis=1, keepdims=True)
    rounding = np.where(ties, rounding, -np.inf)
    return rounding == np.max(rounding, axis=1, keepdims=True)


@chebyshev_distance.vjp
def _(dy, x, y, distance):
    shares = np.where(_furthest(x, y), np.ones_like(x), 0)
    slope = dy[:, None] * np.sign(x - y) * shares / np.sum(shares, axis=1, keepdims=True)
    return slope, -slope


@chebyshev_distance.law("is a metric: symmetric, zero to itself, never longer than a detour")
def _(f, x, y, via=_THIRD_PAIR):
    return _is_a_metric(f, x, y, via)


@chebyshev_distance.law("at most the Euclidean distance, which is at most sqrt(n) times it")
def _(f, x, y):
    straight = np.sqrt(np.sum((x - y) ** 2, axis=1))
    return at_most(f(x, y), straight), at_most(straight, np.sqrt(x.shape[1]) * f(x, y))


@spec(
    "minkowski_distance", family="loss", x=Real("2", "2", **_FAR), y=Real("2", "2", **_FAR, ties="x"), p=Option(3.0, 1.5, 2.0, 1.0),
    torch=lambda x, y, p: torch.linalg.vector_norm(x - y, ord=p, dim=-1),
)  # fmt: skip
def minkowski_distance(x, y, p):
    """(sum |x - y|^p)^(1/p) of each pair of rows, for p of 1 and more.

    The derivative with respect to x is sign(x - y) (|x - y| / distance)^(p - 1), for y its negative; sign 0 = 0. For p below
    2 the power of the quotient is a quotient of powers, since a quotient that vanishes may have a root that does not.
    Reference: composed of torch primitives. Source: Deza and Deza, Encyclopedia of Distances (2009), section 5.1.
    """
    top, ratios = _scaled(np.abs(x - y))
    return top[:, 0] * np.sum(ratios**p, axis=1) ** (1 / p)


@minkowski_distance.vjp
def _(dy, x, y, p, distance):
    gap = np.abs(x - y)
    top, ratios = _scaled(gap)
    powers = ratios ** (p - 1) if p > 2 else gap ** (p - 1) / np.where(top > 0, top, 1) ** (p - 1)
    total = np.sum(ratios**p, axis=1, keepdims=True)
    slope = dy[:, None] * np.sign(x - y) * powers / np.where(total > 0, total, 1) ** (1 - 1 / p)
    return slope, -slope


@minkowski_distance.law("is a metric: symmetric, zero to itself, never longer than a detour")
def _(f, x, y, p, via=_THIRD_PAIR):
    return _is_a_metric(f, x, y, via, p)


@minkowski_distance.law("is Manhattan for p = 1, Euclidean for p = 2")
def _(f, x, y):
    return equal(f(x, y, 1.0), manhattan_distance(x, y)), equal(f(x, y, 2.0), euclidean_distance(x, y))


@minkowski_distance.law("does not grow with p")
def _(f, x, y, p):
    return at_most(f(x, y, p + 1), f(x, y, p)), at_most(chebyshev_distance(x, y), f(x, y, p))


@minkowski_distance.exhibit("powers as they stand, which overflow", expects="N101")
def _(x, y, p):
    return np.sum(np.abs(x - y) ** p, axis=1) ** (1 / p)


def _unit(x, eps):
    """Rows over max(|x|, eps), and that length."""
    length = np.maximum(_length(x), eps)
    return x / length, length


def _similarity_vjp(dy, x, y, eps):
    """For u = x / |x| and v = y / |y| the gradient of u.v is (v - u (u.v)) / |x|, written as sum_j u_j (v_i u_j - u_i v_j) / |x|,
    which does not cancel when the rows are parallel; v / eps for a row x shorter than eps. For y alike."""
    (u, to_x), (v, to_y) = _unit(x, eps), _unit(y, eps)
    turn = v[:, :, None] * u[:, None, :] - u[:, :, None] * v[:, None, :]
    along_x, along_y = np.sum(turn * u[:, None, :], axis=-1) / to_x, -np.sum(turn * v[:, None, :], axis=-1) / to_y
    both = to_x * to_y
    return dy[:, None] * np.where(to_x > eps, along_x, y / both), dy[:, None] * np.where(to_y > eps, along_y, x / both)


@spec(
    "cosine_similarity", family="loss", x=Real("2", "3", **_NEAR), y=Real("2", "3", **_NEAR, ties="x"), eps=Option(1e-8, 0.5),
    torch=lambda x, y, eps: (x * y).sum(-1) / (_clamped_norm(x, eps) * _clamped_norm(y, eps)),
)  # fmt: skip
def cosine_similarity(x, y, eps):
    """x.y / (max(|x|, eps) max(|y|, eps)) of each pair of rows: the cosine of their angle, 0 for a row of zeros.

    The gradient with respect to x is (v - u cos) / |x|, u and v being the rows over their lengths; a row shorter than eps
    is divided by a constant, so that its gradient is v / eps. Reference: composed of torch primitives, since torch's
    own backward leaves out that eps is constant. Source: the documentation of torch.nn.CosineSimilarity.
    """
    return np.sum(_unit(x, eps)[0] * _unit(y, eps)[0], axis=1)


def _clamped_norm(x, eps):
    return torch.clamp(torch.linalg.vector_norm(x, dim=-1), min=eps)


@cosine_similarity.vjp
def _(dy, x, y, eps, similarity):
    return _similarity_vjp(dy, x, y, eps)


@cosine_similarity.law("from -1 to 1, and symmetric")
def _(f, x, y, eps):
    return at_most(np.abs(f(x, y, eps)), 1), equal(f(x, y, eps), f(y, x, eps))


@cosine_similarity.law("unchanged by a positive scale, but for rows shorter than eps")
def _(f, x, y, eps, scale=Real(low=1, upto=8)):
    return equal(f(_long(x, eps) * scale, y, eps), f(_long(x, eps), y, eps))


@cosine_similarity.law("1 with itself, but for rows shorter than eps")
def _(f, x, eps):
    return equal(f(_long(x, eps), _long(x, eps), eps), 1)


def _long(x, eps):
    """Rows of ones in place of those shorter than eps."""
    return np.where(np.sum(x * x, axis=1, keepdims=True) < eps * eps, 1, x)


@cosine_similarity.exhibit("projection v - u cos, which cancels for parallel rows", expects="N104", part="vjp")
def _(dy, x, y, eps, similarity):
    (u, to_x), (v, to_y), cosine = _unit(x, eps), _unit(y, eps), similarity[:, None]
    along_x = np.where(to_x > eps, v - u * cosine, v)
    along_y = np.where(to_y > eps, u - v * cosine, u)
    return dy[:, None] * along_x / to_x, dy[:, None] * along_y / to_y


@spec(
    "cosine_distance", family="loss", x=Real("2", "3", **_NEAR), y=Real("2", "3", **_NEAR, ties="x"), eps=Option(1e-8, 0.5),
    torch=lambda x, y, eps: 1 - (x * y).sum(-1) / (_clamped_norm(x, eps) * _clamped_norm(y, eps)),
)  # fmt: skip
def cosine_distance(x, y, eps):
    """1 - cosine similarity of each pair of rows, from 0 (parallel) to 2 (opposite).

    Half the squared distance of the rows over their lengths, u and v: 1 - u.v itself would cancel for nearly parallel
    rows. A row shorter than eps has |u| < 1, and (1 - |u|^2) / 2 is added. The gradient is minus that of
    the similarity. Reference: composed of torch primitives. Source: scipy.spatial.distance.cosine, documentation.
    """
    (u, to_x), (v, to_y) = _unit(x, eps), _unit(y, eps)
    apart = np.sum((u - v) * (u - v), axis=1)
    return 0.5 * (apart + _lacking(x, to_x)[:, 0] + _lacking(y, to_y)[:, 0])


def _lacking(x, taken):
    """1 - |x / taken|^2, 0 exactly where the length itself was taken."""
    part = _length(x) / taken
    return (1 - part) * (1 + part)


@cosine_distance.vjp
def _(dy, x, y, eps, distance):
    return _similarity_vjp(-dy, x, y, eps)


@cosine_distance.law("1 less the cosine similarity")
def _(f, x, y, eps):
    return equal(f(x, y, eps), 1 - cosine_similarity(x, y, eps))


@cosine_distance.law("0 to any positive multiple, 2 to any negative one")
def _(f, x, eps, scale=Real("batch", "1", low=1, upto=8)):
    x = _long(x, eps)
    return equal(f(x, scale * x, eps), 0), equal(f(x, -scale * x, eps), 2)


@cosine_distance.exhibit("1 less the similarity, literally", expects="N104")
def _(x, y, eps):
    return 1 - np.sum(_unit(x, eps)[0] * _unit(y, eps)[0], axis=1)
