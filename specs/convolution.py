"""Convolutions (of neural networks: correlations) and their transposes, in one and two dimensions.

x: (batch, channels, *sizes); w: (outputs, channels / groups, *kernel), for the transposed (channels, outputs / groups, *kernel).
All are written with im2col: the windows are the columns of a matrix, and what a column's gradient adds to is where
the column came from.
"""

from __future__ import annotations

import numpy as np

from gradcheck import Option, Real, equal, spec
from gradcheck.lazy import torch


def taps(size, kernel, stride=1, padding=0, dilation=1, ceil_mode=False):
    """Where on an axis of ``size`` entries the taps of every window lie: (windows, kernel); outside in the padding.

    ``ceil_mode`` adds a last window that leaves the padded axis, if it begins inside or in the left padding.
    """
    left = size + 2 * padding - dilation * (kernel - 1) - 1
    windows = left // stride + 1
    if ceil_mode and left % stride and windows * stride < size + padding:
        windows += 1
    return stride * np.arange(windows)[:, None] + dilation * np.arange(kernel) - padding


def slots(sizes, axes):
    """Flat indices of the windows of several axes, one row of ``taps`` each: (windows, entries of the kernel).

    An entry in the padding has the index that follows the last.
    """
    at, inside = np.zeros((1, 1), dtype=int), np.ones((1, 1), dtype=bool)
    for size, axis in zip(sizes, axes, strict=True):
        windows, kernel = len(at) * len(axis), at.shape[1] * axis.shape[1]
        at = np.reshape((at * size)[:, None, :, None] + axis[:, None, :], (windows, kernel))
        inside = np.reshape(inside[:, None, :, None] & ((axis >= 0) & (axis < size))[:, None, :], (windows, kernel))
    return np.where(inside, at, np.prod(sizes))


def gather(x, at):
    """The entries of ``x`` (its last axes flattened to one) in every window of ``at``, zeros for the padding."""
    return np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1)[..., at]


def scatter(columns, at, size):
    """The adjoint of ``gather``: what overlapping windows have in the same place is added up."""
    x = np.zeros((*columns.shape[:-2], size + 1), dtype=columns.dtype)
    np.add.at(x, (..., at), columns)
    return x[..., :-1]


def _grouped(x, groups):
    """(batch, channels, *sizes) as (batch, groups, channels / groups, positions)."""
    return np.reshape(x, (len(x), groups, x.shape[1] // groups, -1))


def _weights(w, groups):
    """(outputs, inputs / groups, *kernel) as (groups, outputs / groups, inputs / groups, taps)."""
    return np.reshape(w, (groups, len(w) // groups, w.shape[1], -1))


class _Geometry:
    """The windows of a convolution, from the sizes of its input and its kernel."""

    def __init__(self, sizes, kernel, stride, padding, dilation):
        axes = [taps(s, k, stride, padding, dilation) for s, k in zip(sizes, kernel, strict=True)]
        self.at, self.sizes, self.windows = slots(sizes, axes), tuple(sizes), tuple(len(a) for a in axes)


def _correlate(x, w, groups, seen):
    """The convolution of ``x`` with ``w``, without bias, through the windows ``seen``."""
    columns = gather(_grouped(x, groups), seen.at)
    return np.reshape(np.einsum("gock,ngclk->ngol", _weights(w, groups), columns), (len(x), len(w), *seen.windows))


def _spread(y, w, groups, seen):
    """The adjoint of ``_correlate`` in x."""
    columns = np.einsum("gock,ngol->ngclk", _weights(w, groups), _grouped(y, groups))
    return np.reshape(scatter(columns, seen.at, int(np.prod(seen.sizes))), (len(y), groups * w.shape[1], *seen.sizes))


def _to_weights(x, y, w, groups, seen):
    """The adjoint of ``_correlate`` in w."""
    columns = gather(_grouped(x, groups), seen.at)
    return np.reshape(np.einsum("ngol,ngclk->gock", _grouped(y, groups), columns), w.shape)


def _conv(x, w, stride, padding, dilation, groups=1):
    return _correlate(x, w, groups, _Geometry(x.shape[2:], w.shape[2:], stride, padding, dilation))


def _conv_vjp(dy, x, w, stride, padding, dilation, groups=1):
    seen = _Geometry(x.shape[2:], w.shape[2:], stride, padding, dilation)
    return _spread(dy, w, groups, seen), _to_weights(x, dy, w, groups, seen)


def _transposed(x, w, stride, padding, output_padding, dilation):
    """The transposed convolution of ``x`` without bias, and the windows of the convolution whose adjoint it is."""
    both = zip(x.shape[2:], w.shape[2:], strict=True)
    sizes = [stride * (n - 1) + dilation * (k - 1) + 1 + output_padding - 2 * padding for n, k in both]
    seen = _Geometry(sizes, w.shape[2:], stride, padding, dilation)
    return _spread(x, w, 1, seen), seen


def _bias(b, like):
    """One value per channel, so that it broadcasts against (batch, channels, *sizes)."""
    return np.reshape(b, (-1, *[1] * (like.ndim - 2)))


def _to_bias(dy):
    return np.sum(dy, axis=(0, *range(2, dy.ndim)))


@spec(
    "conv1d",
    family="layer",
    x=Real("batch", "channels", "4"),
    w=Real("outputs", "channels", "2"),
    b=Real("outputs"),
    stride=Option(1, 2),
    padding=Option(0, 1),
    dilation=Option(1, 2),
    torch=lambda x, w, b, stride, padding, dilation: torch.nn.functional.conv1d(x, w, b, stride, padding, dilation),
)
def conv1d(x, w, b, stride, padding, dilation):
    """y[n, o, l] = b[o] + sum_c,k w[o, c, k] x[n, c, stride l + dilation k - padding], x being 0 outside.

    floor((length + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 positions. Linear in x and in w: the gradient
    of x spreads dy w over the windows, that of w sums dy x over batch and positions, that of b sums dy.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.5; the documentation of torch.nn.Conv1d.
    """
    y = _conv(x, w, stride, padding, dilation)
    return y + _bias(b, y)


@conv1d.vjp
def _(dy, x, w, b, stride, padding, dilation, y):
    return *_conv_vjp(dy, x, w, stride, padding, dilation), _to_bias(dy)


@conv1d.law("but for the bias, additive in x and in w")
def _(f, x, w, b, stride, padding, dilation, more=Real("batch", "channels", "4"), other=Real("outputs", "channels", "2")):
    y, rest = f(x, w, b, stride, padding, dilation), (0 * b, stride, padding, dilation)
    return equal(f(x + more, w, b, stride, padding, dilation) - y, f(more, w, *rest)), equal(
        f(x, w + other, b, stride, padding, dilation) - y, f(x, other, *rest)
    )


@conv1d.law("a kernel with a single 1 shifts")
def _(f, x, b, stride, dilation):
    w = np.zeros((1, x.shape[1], 2))
    w[0, -1, 1] = 1
    y = f(x, w, b[:1] * 0, stride, 0, dilation)[:, 0]
    return equal(y, x[:, -1, dilation::stride][:, : y.shape[1]])


@conv1d.law("every gradient is the adjoint of a linear map")
def _(f, x, w, b, stride, padding, dilation, dy=Real("batch", "outputs", "5")):
    y = f(x, w, 0 * b, stride, padding, dilation)
    dy = dy[..., : y.shape[2]]
    to_x, to_w, _ = f.vjp(dy, x, w, b, stride, padding, dilation)
    return equal(np.sum(to_x * x), np.sum(dy * y)), equal(np.sum(to_w * w), np.sum(dy * y))


@spec(
    "conv1d_grouped",
    family="layer",
    x=Real("1", "4", "3"),
    w=Real("4", "2", "2"),
    stride=Option(1, 2),
    padding=Option(0, 1),
    torch=lambda x, w, stride, padding: torch.nn.functional.conv1d(x, w, None, stride, padding, groups=2),
)
def conv1d_grouped(x, w, stride, padding):
    """conv1d in two groups, without bias: the first two outputs see the first two channels alone, the others the rest.

    The gradients are those of ``conv1d`` in each group.
    Source: Krizhevsky, Sutskever, Hinton, ImageNet Classification with Deep Convolutional Neural Networks (2012), section 3.2.
    """
    return _conv(x, w, stride, padding, 1, groups=2)


@conv1d_grouped.vjp
def _(dy, x, w, stride, padding, y):
    return _conv_vjp(dy, x, w, stride, padding, 1, groups=2)


@conv1d_grouped.law("the convolutions of the two halves")
def _(f, x, w, stride, padding):
    halves = [conv1d(x[:, half], w[half], np.zeros(2), stride, padding, 1) for half in (slice(2), slice(2, 4))]
    return equal(f(x, w, stride, padding), np.concatenate(halves, axis=1))


@spec(
    "conv2d",
    family="layer",
    x=Real("1", "channels", "4", "3"),
    w=Real("2", "channels", "2", "2"),
    b=Real("2"),
    stride=Option(1, 2),
    padding=Option(0, 1),
    dilation=Option(1, 2),
    torch=lambda x, w, b, stride, padding, dilation: torch.nn.functional.conv2d(x, w, b, stride, padding, dilation),
)
def conv2d(x, w, b, stride, padding, dilation):
    """b[o] + sum_c,i,j w[o, c, i, j] x[n, c, s h + d i - p, s v + d j - p], x being 0 outside: ``conv1d`` on a plane.

    s, d and p (stride, dilation, padding) are those of both axes. The gradients are those of ``conv1d``, with windows
    of two axes. Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 9.5; the documentation of torch.nn.Conv2d.
    """
    y = _conv(x, w, stride, padding, dilation)
    return y + _bias(b, y)


@conv2d.vjp
def _(dy, x, w, b, stride, padding, dilation, y):
    return *_conv_vjp(dy, x, w, stride, padding, dilation), _to_bias(dy)


@conv2d.law("a kernel of one entry is a product with a matrix over the channels")
def _(f, x, w, b):
    point = w[..., :1, :1]
    return equal(f(x, point, b, 1, 0, 1), np.einsum("oc,nchv->nohv", point[..., 0, 0], x) + _bias(b, x))


@conv2d.law("commutes with a transpose of planes and kernels")
def _(f, x, w, b, stride, padding, dilation):
    turned = f(np.swapaxes(x, 2, 3), np.swapaxes(w, 2, 3), b, stride, padding, dilation)
    return equal(np.swapaxes(turned, 2, 3), f(x, w, b, stride, padding, dilation))


@conv2d.law("every gradient is the adjoint of a linear map")
def _(f, x, w, b, stride, padding, dilation, dy=Real("1", "2", "5", "4")):
    y = f(x, w, 0 * b, stride, padding, dilation)
    dy = dy[..., : y.shape[2], : y.shape[3]]
    to_x, to_w, _ = f.vjp(dy, x, w, b, stride, padding, dilation)
    return equal(np.sum(to_x * x), np.sum(dy * y)), equal(np.sum(to_w * w), np.sum(dy * y))


@conv2d.exhibit("gradient of the bias not summed over the positions", expects="G107", part="vjp")
def _(dy, x, w, b, stride, padding, dilation, y):
    return *_conv_vjp(dy, x, w, stride, padding, dilation), np.sum(dy, axis=0)


@spec(
    "conv2d_depthwise",
    family="layer",
    x=Real("1", "2", "3", "3"),
    w=Real("4", "1", "2", "2"),
    stride=Option(1, 2),
    padding=Option(0, 1),
    torch=lambda x, w, stride, padding: torch.nn.functional.conv2d(x, w, None, stride, padding, groups=2),
)
def conv2d_depthwise(x, w, stride, padding):
    """conv2d with a group for every channel, without bias: two outputs from each channel alone.

    The gradients are those of ``conv2d`` in each group.
    Source: Howard et al., MobileNets, arXiv 1704.04861 (2017), section 3.1.
    """
    return _conv(x, w, stride, padding, 1, groups=2)


@conv2d_depthwise.vjp
def _(dy, x, w, stride, padding, y):
    return _conv_vjp(dy, x, w, stride, padding, 1, groups=2)


@conv2d_depthwise.law("conv2d with a kernel that is 0 between other channels")
def _(f, x, w, stride, padding):
    full = np.concatenate([w * np.array([1, 1, 0, 0])[:, None, None, None], w * np.array([0, 0, 1, 1])[:, None, None, None]], axis=1)
    return equal(f(x, w, stride, padding), conv2d(x, full, np.zeros(4), stride, padding, 1))


@spec(
    "conv_transpose1d",
    family="layer",
    x=Real("batch", "channels", "3"),
    w=Real("channels", "outputs", "3"),
    b=Real("outputs"),
    stride=Option(1, 2),
    padding=Option(0, 1),
    dilation=Option(1, 2),
    torch=lambda x, w, b, stride, padding, dilation: torch.nn.functional.conv_transpose1d(x, w, b, stride, padding, dilation=dilation),
)
def conv_transpose1d(x, w, b, stride, padding, dilation):
    """b[o] + what x[n, c, l] w[c, o, k] adds at stride l + dilation k - padding; what falls outside is dropped.

    The adjoint of ``conv1d`` in x: the gradient of x is that convolution of dy.
    Source: Dumoulin and Visin, A Guide to Convolution Arithmetic, arXiv 1603.07285 (2016), chapter 4.
    """
    y, _ = _transposed(x, w, stride, padding, 0, dilation)
    return y + _bias(b, y)


@conv_transpose1d.vjp
def _(dy, x, w, b, stride, padding, dilation, y):
    _, seen = _transposed(x, w, stride, padding, 0, dilation)
    return _correlate(dy, w, 1, seen), _to_weights(dy, x, w, 1, seen), _to_bias(dy)


@conv_transpose1d.law("the adjoint of conv1d")
def _(f, x, w, b, stride, padding, dilation):
    y = f(x, w, 0 * b, stride, padding, dilation)
    z = np.flip(y, axis=-1) + 1
    return equal(np.sum(y * z), np.sum(x * conv1d(z, w, np.zeros(len(w)), stride, padding, dilation)))


@conv_transpose1d.law("with stride 1, conv1d with the kernel turned about")
def _(f, x, w, b, padding, dilation):
    turned = np.flip(np.swapaxes(w, 0, 1), axis=-1)
    return equal(f(x, w, b, 1, padding, dilation), conv1d(x, turned, b, 1, 2 * dilation - padding, dilation))


@spec(
    "conv_transpose2d",
    family="layer",
    x=Real("batch", "2", "2", "2"),
    w=Real("2", "2", "2", "3"),
    b=Real("2"),
    stride=Option(2, 3),
    padding=Option(0, 1),
    output_padding=Option(0, 1),
    torch=lambda x, w, b, stride, padding, output_padding: torch.nn.functional.conv_transpose2d(x, w, b, stride, padding, output_padding),
)
def conv_transpose2d(x, w, b, stride, padding, output_padding):
    """``conv_transpose1d`` on a plane, with ``output_padding`` more rows and columns at the end.

    The adjoint of ``conv2d`` in x, whose output has the same size for several sizes of its input: ``output_padding``,
    less than the stride, tells which. w: (channels, outputs, height, width). The gradient of x is that convolution of dy.
    Source: Dumoulin and Visin, A Guide to Convolution Arithmetic (2016), chapter 4; the documentation of torch.nn.ConvTranspose2d.
    """
    y, _ = _transposed(x, w, stride, padding, output_padding, 1)
    return y + _bias(b, y)


@conv_transpose2d.vjp
def _(dy, x, w, b, stride, padding, output_padding, y):
    _, seen = _transposed(x, w, stride, padding, output_padding, 1)
    return _correlate(dy, w, 1, seen), _to_weights(dy, x, w, 1, seen), _to_bias(dy)


@conv_transpose2d.law("the adjoint of conv2d")
def _(f, x, w, b, stride, padding, output_padding):
    y = f(x, w, 0 * b, stride, padding, output_padding)
    z = np.flip(y, axis=(-2, -1)) + 1
    return equal(np.sum(y * z), np.sum(x * conv2d(z, w, 0 * b, stride, padding, 1)))


@conv_transpose2d.law("its gradient of x is conv2d of the cotangent")
def _(f, x, w, b, stride, padding, output_padding):
    dy = np.flip(f(x, w, b, stride, padding, output_padding), axis=-1)
    to_x, _, _ = f.vjp(dy, x, w, b, stride, padding, output_padding)
    return equal(to_x, conv2d(dy, w, np.zeros(2), stride, padding, 1))
