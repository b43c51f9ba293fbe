"""Recurrent cells and their unrolled sequences: simple (tanh, relu), LSTM and GRU.

The weights are laid out as torch has them: ``wx`` is (gates * hidden, inputs), ``wh`` (gates * hidden,
hidden), with a bias each, ``bx`` and ``bh``; the gates are stacked along the first axis, in the order
input, forget, cell, output (LSTM) and reset, update, new (GRU). A sequence is (time, batch, inputs).

Every cell is written as a step forward and a step backward, the sequence as loops over them: the
backward through time adds the gradients of the weights over the steps, from the last to the first.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _gates(x, h, wx, wh, bx, bh):
    """What enters the gates of a cell."""
    return x @ wx.T + bx + h @ wh.T + bh


def _gates_vjp(da, x, h, wx, wh):
    """The gradients of x, h, wx, wh, bx and bh."""
    db = np.sum(da, axis=0)
    return da @ wx, da @ wh, da.T @ x, da.T @ h, db, +db


def _parts(a, gates):
    """The entries of each gate, (batch, hidden), out of (batch, gates * hidden)."""
    return np.swapaxes(np.reshape(a, (len(a), gates, -1)), 0, 1)


def _through_tanh(dy, a):
    """dy (1 - tanh(a)^2) without cancellation, as dy sech(a)^2."""
    e = np.exp(-np.abs(a))
    sech = 2 * e / (1 + e * e)
    return dy * sech * sech


def _through_sigmoid(dy, a):
    """dy s(a) (1 - s(a)) for the sigmoid s(a) = (1 + tanh(a / 2)) / 2."""
    return _through_tanh(dy / 4, a / 2)


def _unrolled(cell, x, h, *weights):
    """The outputs of all steps and the last state, of a cell whose output is its state."""
    ys = []
    for now in x:
        h = cell(now, h, *weights)
        ys.append(h)
    return np.stack(ys), h


def _unrolled_vjp(cell, dy, x, h, *weights, y):
    """Backward through time: what reaches a state is its own dy and what comes back from the step after it."""
    (dys, to_h), ys = dy, y[0]
    to_x, to_weights = np.zeros_like(x), []
    for t in reversed(range(len(x))):
        before = ys[t - 1] if t else h
        to_x[t], to_h, *more = cell.backward(dys[t] + to_h, x[t], before, *weights, ys[t])
        to_weights = [a + b for a, b in zip(to_weights, more, strict=True)] if to_weights else more
    return to_x, to_h, *to_weights


@spec(
    "rnn_cell",
    family="layer",
    x=Real("2", "1"),
    h=Real("2", "2"),
    wx=Real("2", "1"),
    wh=Real("2", "2"),
    bx=Real("2"),
    bh=Real("2"),
    nonlinearity=Option("tanh", "relu"),
    torch=lambda *a: (torch.rnn_tanh_cell if a[-1] == "tanh" else torch.rnn_relu_cell)(*a[:-1]),
)
def rnn_cell(x, h, wx, wh, bx, bh, nonlinearity):
    """tanh(x Wx^T + bx + h Wh^T + bh), or relu in its place: the simple recurrent cell.

    x: (batch, inputs), h: (batch, hidden), the result as h. With a for what enters the nonlinearity and
    da = dy times its slope, the gradients are da Wx, da Wh, da^T x, da^T h and, for either bias, the
    sum of da over the batch. The slope of tanh is sech^2, that of relu at 0 is 0.
    Source: Elman, Finding Structure in Time (1990); the documentation of torch.nn.RNNCell.
    """
    a = _gates(x, h, wx, wh, bx, bh)
    return np.tanh(a) if nonlinearity == "tanh" else np.maximum(a, 0)


@rnn_cell.vjp
def _(dy, x, h, wx, wh, bx, bh, nonlinearity, y):
    a = _gates(x, h, wx, wh, bx, bh)
    da = _through_tanh(dy, a) if nonlinearity == "tanh" else np.where(a > 0, dy, 0)
    return _gates_vjp(da, x, h, wx, wh)


@rnn_cell.law("tanh: odd in state, input and biases together, and never beyond 1")
def _(f, x, h, wx, wh, bx, bh):
    y = f(x, h, wx, wh, bx, bh, "tanh")
    return equal(f(-x, -h, wx, wh, -bx, -bh, "tanh"), -y), at_most(np.abs(y), 1)


@rnn_cell.law("both biases have the same gradient, the sum of that of a over the batch")
def _(f, x, h, wx, wh, bx, bh, nonlinearity, dy=Real("2", "2")):
    *_, to_bx, to_bh = f.vjp(dy, x, h, wx, wh, bx, bh, nonlinearity)
    return equal(to_bx, to_bh)


@rnn_cell.exhibit("slope 1 - y^2, 0 for a saturated unit", expects="N104", part="vjp")
def _(dy, x, h, wx, wh, bx, bh, nonlinearity, y):
    slope = 1 - y * y if nonlinearity == "tanh" else y > 0
    return _gates_vjp(dy * slope, x, h, wx, wh)


@spec(
    "rnn",
    family="layer",
    x=Real("2", "1", "1"),
    h=Real("1", "2"),
    wx=Real("2", "1"),
    wh=Real("2", "2"),
    bx=Real("2"),
    bh=Real("2"),
    nonlinearity=Option("tanh", "relu"),
    torch=lambda x, h, *rest: _torch_sequence(torch.rnn_tanh if rest[-1] == "tanh" else torch.rnn_relu, x, h, rest[:-1]),
)
def rnn(x, h, wx, wh, bx, bh, nonlinearity):
    """rnn_cell over a sequence: x is (time, batch, inputs), h the first state (batch, hidden).

    Returns the states after every step, (time, batch, hidden), and the last one. Backward through time:
    a state receives its own dy and what comes back from the step after it; the gradients of the
    weights are summed over the steps.
    Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 10.2.2; torch.nn.RNN.
    """
    return _unrolled(rnn_cell, x, h, wx, wh, bx, bh, nonlinearity)


def _torch_sequence(function, x, h, weights):
    ys, last = function(x, h[None], weights, True, 1, 0.0, False, False, False)
    return ys, last[0]


@rnn.vjp
def _(dy, x, h, wx, wh, bx, bh, nonlinearity, y):
    return _unrolled_vjp(rnn_cell, dy, x, h, wx, wh, bx, bh, nonlinearity, y=y)


@rnn.law("a sequence in two pieces: the last state of one is the first of the next")
def _(f, x, h, wx, wh, bx, bh, nonlinearity):
    ys, last = f(x, h, wx, wh, bx, bh, nonlinearity)
    first, between = f(x[:1], h, wx, wh, bx, bh, nonlinearity)
    second, end = f(x[1:], between, wx, wh, bx, bh, nonlinearity)
    return equal(ys, np.concatenate([first, second])), equal(last, end)


@rnn.exhibit("the gradient of the last state dropped", expects="G101", part="vjp")
def _(dy, x, h, wx, wh, bx, bh, nonlinearity, y):
    return _unrolled_vjp(rnn_cell, (dy[0], np.zeros_like(h)), x, h, wx, wh, bx, bh, nonlinearity, y=y)


@spec(
    "lstm_cell",
    family="layer",
    x=Real("2", "1"),
    h=Real("2", "1"),
    c=Real("2", "1"),
    wx=Real("4", "1"),
    wh=Real("4", "1"),
    bx=Real("4"),
    bh=Real("4"),
    torch=lambda x, h, c, *weights: torch.lstm_cell(x, (h, c), *weights),
)
def lstm_cell(x, h, c, wx, wh, bx, bh):
    """Long short-term memory: c' = f c + i g and h' = o tanh(c'); returns h' and c'.

    x: (batch, inputs), h and c: (batch, hidden). The gates i, f and o are sigmoids, g is a tanh, each of
    its rows of x Wx^T + bx + h Wh^T + bh. The memory c' receives its own cotangent and, through the
    output, dh' o (1 - tanh(c')^2); f times what it receives goes on to c.
    Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997); Gers, Schmidhuber and Cummins,
    Learning to Forget (2000); torch.nn.LSTMCell.
    """
    i, f, g, o = _parts(_gates(x, h, wx, wh, bx, bh), 4)
    memory = expit(f) * c + expit(i) * np.tanh(g)
    return expit(o) * np.tanh(memory), memory


@lstm_cell.vjp
def _(dy, x, h, c, wx, wh, bx, bh, y):
    to_output, to_memory = dy
    memory = y[1]
    i, f, g, o = _parts(_gates(x, h, wx, wh, bx, bh), 4)
    to_memory = to_memory + _through_tanh(to_output * expit(o), memory)
    to_i = _through_sigmoid(to_memory * np.tanh(g), i)
    to_f = _through_sigmoid(to_memory * c, f)
    to_g = _through_tanh(to_memory * expit(i), g)
    to_o = _through_sigmoid(to_output * np.tanh(memory), o)
    to_x, to_h, *to_weights = _gates_vjp(np.concatenate([to_i, to_f, to_g, to_o], axis=1), x, h, wx, wh)
    return to_x, to_h, to_memory * expit(f), *to_weights


@lstm_cell.law("a forget gate that is open and an input gate that is shut keep the memory")
def _(f, x, h, c, wx, wh, bx, bh):
    gates = np.array([-1e4, 1e4, 0.0, 0.0])
    return equal(f(x, h, c, 0 * wx, 0 * wh, gates, 0 * bh)[1], c)


@lstm_cell.law("|c'| is at most |c| + 1, and |h'| at most |tanh(c')|")
def _(f, x, h, c, wx, wh, bx, bh):
    output, memory = f(x, h, c, wx, wh, bx, bh)
    return at_most(np.abs(memory), np.abs(c) + 1), at_most(np.abs(output), np.abs(np.tanh(memory)))


@spec(
    "lstm",
    family="layer",
    x=Real("2", "1", "1", upto=1),
    h=Real("1", "1", upto=1),
    c=Real("1", "1", upto=1),
    wx=Real("4", "1", upto=1),
    wh=Real("4", "1", upto=1),
    bx=Real("4", upto=1),
    bh=Real("4", upto=1),
    torch=lambda x, h, c, *weights: _torch_lstm(x, h, c, weights),
)
def lstm(x, h, c, wx, wh, bx, bh):
    """lstm_cell over a sequence: x is (time, batch, inputs), h and c the first state, (batch, hidden).

    Returns the outputs of all steps, (time, batch, hidden), and the last h and c. Backward through time
    carries a gradient of h and one of c from each step to the step before it. Entries are at most 1:
    beyond, gates saturate so that no input moves them any more, and the memories that two steps add can
    cancel down to that last rounding, in every form that keeps the memory as one number.
    Source: Hochreiter and Schmidhuber, Long Short-Term Memory (1997); torch.nn.LSTM.
    """
    ys = []
    for now in x:
        h, c = lstm_cell(now, h, c, wx, wh, bx, bh)
        ys.append(h)
    return np.stack(ys), h, c


def _torch_lstm(x, h, c, weights):
    ys, last, memory = torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, False, False, False)
    return ys, last[0], memory[0]


@lstm.vjp
def _(dy, x, h, c, wx, wh, bx, bh, y):
    dys, to_h, to_c = dy
    weights = (wx, wh, bx, bh)
    states = [(h, c)]
    for now in x:
        states.append(lstm_cell(now, *states[-1], *weights))
    to_x, to_weights = np.zeros_like(x), []
    for t in reversed(range(len(x))):
        cotangents = (dys[t] + to_h, to_c)
        to_x[t], to_h, to_c, *more = lstm_cell.backward(cotangents, x[t], *states[t], *weights, states[t + 1])
        to_weights = [a + b for a, b in zip(to_weights, more, strict=True)] if to_weights else more
    return to_x, to_h, to_c, *to_weights


@lstm.law("a sequence in two pieces: the last state of one is the first of the next")
def _(f, x, h, c, wx, wh, bx, bh):
    ys, *last = f(x, h, c, wx, wh, bx, bh)
    first, *between = f(x[:1], h, c, wx, wh, bx, bh)
    second, *end = f(x[1:], *between, wx, wh, bx, bh)
    return equal(ys, np.concatenate([first, second])), equal(last[0], end[0]), equal(last[1], end[1])


@lstm.law("both biases have the same gradient")
def _(f, x, h, c, wx, wh, bx, bh, dys=Real("2", "1", "1")):
    *_, to_bx, to_bh = f.vjp((dys, h, c), x, h, c, wx, wh, bx, bh)
    return equal(to_bx, to_bh)


@spec(
    "gru_cell",
    family="layer",
    x=Real("2", "1"),
    h=Real("2", "1"),
    wx=Real("3", "1"),
    wh=Real("3", "1"),
    bx=Real("3"),
    bh=Real("3"),
    torch=lambda *arguments: torch.gru_cell(*arguments),
)
def gru_cell(x, h, wx, wh, bx, bh):
    """Gated recurrent unit: h' = (1 - z) n + z h, with n = tanh(x Wn^T + bxn + r (h Un^T + bhn)).

    x: (batch, inputs), h: (batch, hidden). The gates r (reset) and z (update) are sigmoids of the rows
    of x Wx^T + bx + h Wh^T + bh that are theirs; the reset gate acts behind the product, as in torch.
    1 - z is the sigmoid of what is opposite. Source: Cho et al., Learning Phrase Representations using
    RNN Encoder-Decoder (2014), section 2.3; the documentation of torch.nn.GRUCell.
    """
    (xr, xz, xn), (hr, hz, hn) = _parts(x @ wx.T + bx, 3), _parts(h @ wh.T + bh, 3)
    n = np.tanh(xn + expit(xr + hr) * hn)
    return expit(-xz - hz) * n + expit(xz + hz) * h


@gru_cell.vjp
def _(dy, x, h, wx, wh, bx, bh, y):
    (xr, xz, xn), (hr, hz, hn) = _parts(x @ wx.T + bx, 3), _parts(h @ wh.T + bh, 3)
    r, z = expit(xr + hr), expit(xz + hz)
    a = xn + r * hn
    to_n = _through_tanh(dy * expit(-xz - hz), a)
    to_z = _through_sigmoid(dy * (h - np.tanh(a)), xz + hz)
    to_r = _through_sigmoid(to_n * hn, xr + hr)
    from_x, from_h = np.concatenate([to_r, to_z, to_n], axis=1), np.concatenate([to_r, to_z, to_n * r], axis=1)
    to_h = from_h @ wh + dy * z
    return from_x @ wx, to_h, from_x.T @ x, from_h.T @ h, np.sum(from_x, axis=0), np.sum(from_h, axis=0)


@gru_cell.law("between the old state and -1 or 1: |h'| is at most max(|h|, 1)")
def _(f, x, h, wx, wh, bx, bh):
    return at_most(np.abs(f(x, h, wx, wh, bx, bh)), np.maximum(np.abs(h), 1))


@gru_cell.law("with all weights 0, half the old state")
def _(f, x, h, wx, wh, bx, bh):
    return equal(f(x, h, 0 * wx, 0 * wh, 0 * bx, 0 * bh), h / 2)


@spec(
    "gru",
    family="layer",
    x=Real("2", "1", "1", upto=1),
    h=Real("1", "1", upto=1),
    wx=Real("3", "1", upto=1),
    wh=Real("3", "1", upto=1),
    bx=Real("3", upto=1),
    bh=Real("3", upto=1),
    torch=lambda x, h, *weights: _torch_sequence(torch.gru, x, h, weights),
)
def gru(x, h, wx, wh, bx, bh):
    """gru_cell over a sequence: x is (time, batch, inputs), h the first state (batch, hidden).

    Returns the states after every step, (time, batch, hidden), and the last one. Backward through time:
    a state receives its own dy and what comes back from the step after it. Entries are at most 1:
    beyond, gates saturate, a step leaves the state as it was but for roundings, and the gradient of the
    update gate, a multiple of h - n, is lost in every form that keeps the state as one number.
    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014); torch.nn.GRU.
    """
    return _unrolled(gru_cell, x, h, wx, wh, bx, bh)


@gru.vjp
def _(dy, x, h, wx, wh, bx, bh, y):
    return _unrolled_vjp(gru_cell, dy, x, h, wx, wh, bx, bh, y=y)


@gru.law("a sequence in two pieces: the last state of one is the first of the next")
def _(f, x, h, wx, wh, bx, bh):
    ys, last = f(x, h, wx, wh, bx, bh)
    first, between = f(x[:1], h, wx, wh, bx, bh)
    second, end = f(x[1:], between, wx, wh, bx, bh)
    return equal(ys, np.concatenate([first, second])), equal(last, end)


@gru.law("no state is larger than the first, or 1")
def _(f, x, h, wx, wh, bx, bh):
    return at_most(np.abs(f(x, h, wx, wh, bx, bh)[0]), np.maximum(np.max(np.abs(h)), 1))
