"""Pooling: the largest or the mean entry of every window, in one and two dimensions.

x: (batch, channels, *sizes). Windows are arrays of indices, as for the convolutions. Max pooling has kinks where the
largest entry of a window is tied: the first one gets the gradient, as in torch.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from gradcheck.specs.convolution import gather, scatter, slots, taps

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _flat(x, axes):
    """``x`` with its last ``axes`` axes joined into one."""
    return np.reshape(x, (*x.shape[: x.ndim - axes], -1))


@cache
def _windows(sizes, kernel, stride, padding, ceil_mode, dilation=1):
    """The indices of every window, and the number of windows along each axis."""
    axes = [taps(n, k, stride, padding, dilation, ceil_mode) for n, k in zip(sizes, kernel, strict=True)]
    return slots(sizes, axes), tuple(len(a) for a in axes)


def _bins(size, count):
    """The windows of adaptive pooling: ``count`` bins that cover an axis, bin i from floor(i size / count) to ceil((i + 1) size / count).

    (bins, longest bin); a shorter bin ends in the index -1, outside.
    """
    i = np.arange(count)[:, None]
    begin, end = i * size // count, -(-(i + 1) * size // count)
    at = begin + np.arange(np.max(end - begin))
    return np.where(at < end, at, -1)


@cache
def _adaptive(sizes, counts):
    axes = [_bins(n, c) for n, c in zip(sizes, counts, strict=True)]
    return slots(sizes, axes), tuple(counts)


def _without_padding(x, at):
    """Every window of ``x``, with minus infinity for the padding, which is never the largest."""
    return np.where(at < x.shape[-1], gather(x, at), -np.inf)


def _largest(x, at):
    """Of every window of ``x``, the index of its first largest entry."""
    seen = _without_padding(x, at)
    return np.take_along_axis(np.broadcast_to(at, seen.shape), np.argmax(seen, axis=-1)[..., None], axis=-1)[..., 0]


def _max_pool(x, seen):
    at, windows = seen
    rows = _flat(x, len(windows))
    return np.reshape(np.max(_without_padding(rows, at), axis=-1), (*rows.shape[:-1], *windows))


def _max_pool_vjp(dy, x, seen):
    at, windows = seen
    rows = _flat(x, len(windows))
    columns = np.where(at == _largest(rows, at)[..., None], _flat(dy, len(windows))[..., None], 0)
    return np.reshape(scatter(columns, at, rows.shape[-1]), x.shape)


def _divisors(seen, sizes, padding=None, kernel=None, stride=None):
    """How many entries every window has: those inside, or (with ``padding``) those of the padded input."""
    at, windows = seen
    if padding is None:
        return np.sum(at < np.prod(sizes), axis=-1)
    inside = np.ones((), dtype=int)
    for n, k, count in zip(sizes, kernel, windows, strict=True):
        begin = stride * np.arange(count) - padding
        inside = inside[..., None] * (np.minimum(begin + k, n + padding) - begin)
    return np.ravel(inside)


def _avg_pool(x, seen, divisors):
    at, windows = seen
    rows = _flat(x, len(windows))
    return np.reshape(np.sum(gather(rows, at), axis=-1) / divisors.astype(x.dtype), (*rows.shape[:-1], *windows))


def _avg_pool_vjp(dy, x, seen, divisors):
    at, windows = seen
    share = _flat(dy, len(windows)) / divisors.astype(dy.dtype)
    columns = np.broadcast_to(share[..., None], (*share.shape, at.shape[1]))
    return np.reshape(scatter(columns, at, int(np.prod(x.shape[x.ndim - len(windows) :]))), x.shape)


@spec(
    "max_pool1d",
    family="layer",
    x=Real("1", "channels", "5", upto=np.inf),
    kernel=Option(2, 3),
    stride=Option(2, 1),
    padding=Option(0, 1),
    dilation=Option(1, 2),
    ceil_mode=Option(False, True),
    torch=lambda x, kernel, stride, padding, dilation, ceil_mode: torch.nn.functional.max_pool1d(
        x, kernel, stride, padding, dilation, ceil_mode
    ),
)
def max_pool1d(x, kernel, stride, padding, dilation, ceil_mode):
    """max_k x[n, c, stride l + dilation k - padding], the padding never being the largest.

    ``ceil_mode`` rounds the number of windows up: a last one may leave the input. Piecewise linear: dy goes to the
    largest entry of its window, and adds up where windows overlap. Kinks: ties, of which the first is taken.
    Source: the documentation of torch.nn.MaxPool1d.
    """
    return _max_pool(x, _windows(x.shape[2:], (kernel,), stride, padding, ceil_mode, dilation))


@max_pool1d.vjp
def _(dy, x, kernel, stride, padding, dilation, ceil_mode, y):
    return _max_pool_vjp(dy, x, _windows(x.shape[2:], (kernel,), stride, padding, ceil_mode, dilation))


@max_pool1d.law("at least the average")
def _(f, x, kernel, stride, padding, ceil_mode):
    return at_most(avg_pool1d(x, kernel, stride, padding, ceil_mode, False), f(x, kernel, stride, padding, 1, ceil_mode))


@max_pool1d.law("the sum of the gradient is that of the cotangent")
def _(f, x, kernel, stride, padding, dilation, ceil_mode):
    dy = f(-x, kernel, stride, padding, dilation, ceil_mode)
    return equal(np.sum(f.vjp(dy, x, kernel, stride, padding, dilation, ceil_mode), axis=2), np.sum(dy, axis=2))


@spec(
    "max_pool2d",
    family="layer",
    x=Real("1", "1", "3", "3", upto=np.inf),
    kernel=Option((2, 2), (3, 2)),
    stride=Option(2, 1),
    padding=Option(0, 1),
    ceil_mode=Option(False, True),
    torch=lambda x, kernel, stride, padding, ceil_mode: torch.nn.functional.max_pool2d(x, kernel, stride, padding, ceil_mode=ceil_mode),
)
def max_pool2d(x, kernel, stride, padding, ceil_mode):
    """The largest entry of every window of a plane, ``stride`` apart along both axes: ``max_pool1d`` on a plane.

    The padding is never the largest. The derivative and its kinks are those of ``max_pool1d``; of a tie, the first
    in order of rows is taken. Source: the documentation of torch.nn.MaxPool2d.
    """
    return _max_pool(x, _windows(x.shape[2:], kernel, stride, padding, ceil_mode))


@max_pool2d.vjp
def _(dy, x, kernel, stride, padding, ceil_mode, y):
    return _max_pool_vjp(dy, x, _windows(x.shape[2:], kernel, stride, padding, ceil_mode))


@max_pool2d.law("the maximum along rows, then along columns")
def _(f, x, kernel, stride, padding, ceil_mode):
    high, wide = kernel
    rows = max_pool1d(x[:, 0], wide, stride, padding, 1, ceil_mode)
    both = max_pool1d(np.swapaxes(rows, 1, 2), high, stride, padding, 1, ceil_mode)
    return equal(f(x, kernel, stride, padding, ceil_mode)[:, 0], np.swapaxes(both, 1, 2))


@max_pool2d.law("at least the average")
def _(f, x, kernel, stride, padding, ceil_mode):
    return at_most(avg_pool2d(x, kernel, stride, padding, ceil_mode, False, None), f(x, kernel, stride, padding, ceil_mode))


@spec(
    "avg_pool1d",
    family="layer",
    x=Real("batch", "channels", "4"),
    kernel=Option(2, 3),
    stride=Option(2, 1),
    padding=Option(0, 1),
    ceil_mode=Option(False, True),
    count_include_pad=Option(True, False),
    torch=lambda x, kernel, stride, padding, ceil_mode, count_include_pad: torch.nn.functional.avg_pool1d(
        x, kernel, stride, padding, ceil_mode, count_include_pad
    ),
)
def avg_pool1d(x, kernel, stride, padding, ceil_mode, count_include_pad):
    """mean_k x[n, c, stride l + k - padding], over the kernel with zeros for the padding, or over the entries inside.

    The former with ``count_include_pad``; what ``ceil_mode`` lets a last window have beyond the padding never counts. Linear: dy is
    shared out evenly over its window. Source: the documentation of torch.nn.AvgPool1d.
    """
    seen = _windows(x.shape[2:], (kernel,), stride, padding, ceil_mode)
    return _avg_pool(x, seen, _divisors(seen, x.shape[2:], padding if count_include_pad else None, (kernel,), stride))


@avg_pool1d.vjp
def _(dy, x, kernel, stride, padding, ceil_mode, count_include_pad, y):
    seen = _windows(x.shape[2:], (kernel,), stride, padding, ceil_mode)
    return _avg_pool_vjp(dy, x, seen, _divisors(seen, x.shape[2:], padding if count_include_pad else None, (kernel,), stride))


@avg_pool1d.law("of a constant is the constant, where the padding does not count")
def _(f, x, kernel, stride, padding, ceil_mode):
    constant = 0 * x + x[..., :1]
    y = f(constant, kernel, stride, padding, ceil_mode, False)
    return equal(y, 0 * y + x[..., :1])


@avg_pool1d.law("the adjoint: <pool x, pool x> = <x, gradient at pool x>")
def _(f, x, kernel, stride, padding, ceil_mode, count_include_pad):
    y = f(x, kernel, stride, padding, ceil_mode, count_include_pad)
    return equal(np.sum(y * y), np.sum(x * f.vjp(y, x, kernel, stride, padding, ceil_mode, count_include_pad)))


@avg_pool1d.exhibit("always divided by the size of the kernel", expects="V101")
def _(x, kernel, stride, padding, ceil_mode, count_include_pad):
    seen = _windows(x.shape[2:], (kernel,), stride, padding, ceil_mode)
    return _avg_pool(x, seen, np.full(seen[1], kernel))


@spec(
    "avg_pool2d",
    family="layer",
    x=Real("batch", "1", "3", "3"),
    kernel=Option((2, 2), (3, 2)),
    stride=Option(2, 1),
    padding=Option(0, 1),
    ceil_mode=Option(False, True),
    count_include_pad=Option(True, False),
    divisor=Option(None, 3),
    torch=lambda x, kernel, stride, padding, ceil_mode, count_include_pad, divisor: torch.nn.functional.avg_pool2d(
        x, kernel, stride, padding, ceil_mode, count_include_pad, divisor
    ),
)
def avg_pool2d(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    """The mean of every window of a plane: ``avg_pool1d`` on a plane.

    ``divisor``, if given, takes the place of the number of entries (torch's divisor_override). Linear: dy is shared
    out evenly over its window. Source: the documentation of torch.nn.AvgPool2d.
    """
    seen, divisors = _planes(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    return _avg_pool(x, seen, divisors)


@avg_pool2d.vjp
def _(dy, x, kernel, stride, padding, ceil_mode, count_include_pad, divisor, y):
    seen, divisors = _planes(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor)
    return _avg_pool_vjp(dy, x, seen, divisors)


def _planes(x, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    seen = _windows(x.shape[2:], kernel, stride, padding, ceil_mode)
    counted = _divisors(seen, x.shape[2:], padding if count_include_pad else None, kernel, stride)
    return seen, counted if divisor is None else np.full(counted.shape, divisor)


@avg_pool2d.law("the mean along rows, then along columns")
def _(f, x, kernel, stride, padding, ceil_mode, count_include_pad):
    high, wide = kernel
    rows = avg_pool1d(x[:, 0], wide, stride, padding, ceil_mode, count_include_pad)
    both = avg_pool1d(np.swapaxes(rows, 1, 2), high, stride, padding, ceil_mode, count_include_pad)
    return equal(f(x, kernel, stride, padding, ceil_mode, count_include_pad, None)[:, 0], np.swapaxes(both, 1, 2))


@avg_pool2d.law("with the divisor 1, the sum of the window")
def _(f, x, kernel, padding):
    ones = np.ones(kernel)
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    sums = f(x, kernel, 1, padding, False, True, 1)
    high, wide = kernel
    return equal(sums[:, 0, 0, 0], np.sum(ones * padded[:, 0, :high, :wide], axis=(1, 2)))


@spec(
    "adaptive_avg_pool1d",
    family="layer",
    x=Real("batch", "channels", "length"),
    size=Option(1, 2, 3),
    torch=lambda x, size: torch.nn.functional.adaptive_avg_pool1d(x, size),
)
def adaptive_avg_pool1d(x, size):
    """The means of ``size`` windows that cover the length: from floor(i length / size) to ceil((i + 1) length / size).

    Windows may overlap by one entry, and repeat it where the length is less than size. Size 1 is global average
    pooling. Linear: dy is shared out evenly over its window. Source: the documentation of torch.nn.AdaptiveAvgPool1d.
    """
    seen = _adaptive(x.shape[2:], (size,))
    return _avg_pool(x, seen, _divisors(seen, x.shape[2:]))


@adaptive_avg_pool1d.vjp
def _(dy, x, size, y):
    seen = _adaptive(x.shape[2:], (size,))
    return _avg_pool_vjp(dy, x, seen, _divisors(seen, x.shape[2:]))


@adaptive_avg_pool1d.law("to size 1, the mean; to the length itself, the identity")
def _(f, x):
    return equal(f(x, 1)[..., 0], np.mean(x, axis=2)), equal(f(x, x.shape[2]), x)


@adaptive_avg_pool1d.law("average pooling, where size divides the length")
def _(f, x, size):
    long = np.repeat(x, size, axis=2) * np.arange(1, 1 + size * x.shape[2])
    return equal(f(long, size), avg_pool1d(long, x.shape[2], x.shape[2], 0, False, True))


@adaptive_avg_pool1d.exhibit("windows of one size, the rest dropped", expects="V101")
def _(x, size):
    kernel = max(x.shape[2] // size, 1)
    return np.stack([np.mean(x[..., i * x.shape[2] // size :][..., :kernel], axis=-1) for i in range(size)], axis=-1)


@spec(
    "adaptive_avg_pool2d",
    family="layer",
    x=Real("batch", "1", "3", "3"),
    size=Option((1, 1), (2, 3), (3, 2), (2, 2)),
    torch=lambda x, size: torch.nn.functional.adaptive_avg_pool2d(x, size),
)
def adaptive_avg_pool2d(x, size):
    """The means of height x width windows that cover a plane, those of ``adaptive_avg_pool1d`` along each axis.

    Linear: dy is shared out evenly over its window. Source: the documentation of torch.nn.AdaptiveAvgPool2d.
    """
    seen = _adaptive(x.shape[2:], size)
    return _avg_pool(x, seen, _divisors(seen, x.shape[2:]))


@adaptive_avg_pool2d.vjp
def _(dy, x, size, y):
    seen = _adaptive(x.shape[2:], size)
    return _avg_pool_vjp(dy, x, seen, _divisors(seen, x.shape[2:]))


@adaptive_avg_pool2d.law("adaptive pooling along rows, then along columns")
def _(f, x, size):
    rows = adaptive_avg_pool1d(x[:, 0], size[1])
    both = adaptive_avg_pool1d(np.swapaxes(rows, 1, 2), size[0])
    return equal(f(x, size)[:, 0], np.swapaxes(both, 1, 2))


@adaptive_avg_pool2d.law("of a constant is the constant")
def _(f, x, size):
    y = f(0 * x + x[..., :1, :1], size)
    return equal(y, 0 * y + x[..., :1, :1])


@spec(
    "adaptive_max_pool1d",
    family="layer",
    x=Real("1", "channels", "length", upto=np.inf),
    size=Option(1, 2, 3),
    torch=lambda x, size: torch.nn.functional.adaptive_max_pool1d(x, size),
)
def adaptive_max_pool1d(x, size):
    """The largest entries of ``size`` windows that cover the length, those of ``adaptive_avg_pool1d``.

    dy goes to the largest entry of its window; ties are kinks, where the first is taken. Size 1 is global max pooling.
    Source: the documentation of torch.nn.AdaptiveMaxPool1d.
    """
    return _max_pool(x, _adaptive(x.shape[2:], (size,)))


@adaptive_max_pool1d.vjp
def _(dy, x, size, y):
    return _max_pool_vjp(dy, x, _adaptive(x.shape[2:], (size,)))


@adaptive_max_pool1d.law("to size 1, the maximum; to the length itself, the identity")
def _(f, x):
    return equal(f(x, 1)[..., 0], np.max(x, axis=2)), equal(f(x, x.shape[2]), x)


@adaptive_max_pool1d.law("at least the average")
def _(f, x, size):
    return at_most(adaptive_avg_pool1d(x, size), f(x, size))


@adaptive_max_pool1d.exhibit("gradient to all entries of a window", expects="G101", part="vjp")
def _(dy, x, size, y):
    at, _ = _adaptive(x.shape[2:], (size,))
    return scatter(np.broadcast_to(dy[..., None], (*dy.shape, at.shape[1])), at, x.shape[2])


@spec(
    "adaptive_max_pool2d",
    family="layer",
    x=Real("1", "1", "3", "3", upto=np.inf),
    size=Option((1, 1), (2, 3), (3, 2), (2, 2)),
    torch=lambda x, size: torch.nn.functional.adaptive_max_pool2d(x, size),
)
def adaptive_max_pool2d(x, size):
    """The largest entries of height x width windows that cover a plane, those of ``adaptive_avg_pool2d``.

    dy goes to the largest entry of its window; ties are kinks, where the first in order of rows is taken.
    Source: the documentation of torch.nn.AdaptiveMaxPool2d.
    """
    return _max_pool(x, _adaptive(x.shape[2:], size))


@adaptive_max_pool2d.vjp
def _(dy, x, size, y):
    return _max_pool_vjp(dy, x, _adaptive(x.shape[2:], size))


@adaptive_max_pool2d.law("adaptive pooling along rows, then along columns")
def _(f, x, size):
    rows = adaptive_max_pool1d(x[:, 0], size[1])
    both = adaptive_max_pool1d(np.swapaxes(rows, 1, 2), size[0])
    return equal(f(x, size)[:, 0], np.swapaxes(both, 1, 2))


@adaptive_max_pool2d.law("at least the average")
def _(f, x, size):
    return at_most(adaptive_avg_pool2d(x, size), f(x, size))
