"""Connectionist temporal classification: the likelihood of a label sequence when its alignment is unknown."""

from __future__ import annotations

import numpy as np

from gradcheck import Labels, Option, Real, equal, spec
from gradcheck.lazy import torch

NEVER = -np.inf
"""The logarithm of the probability 0."""


def _log_sum(x, axis):
    """log of the sum of e^x over ``axis``, where some (or all) entries may be ``NEVER``."""
    top = np.max(x, axis=axis, keepdims=True)
    possible = top > NEVER
    top = np.where(possible, top, 0)
    total = np.sum(np.exp(x - top), axis=axis, keepdims=True)
    return np.squeeze(np.where(possible, top + np.log(np.where(possible, total, 1)), NEVER), axis)


def _log_softmax(x):
    shifted = x - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))


def _automaton(target, classes):
    """``steps[s, k]``, the state after symbol k in state s, and ``accepts[s]``.

    State 2 i: blank after i labels of the target; state 2 i + 1: its label i was the last symbol; the last
    state is dead: what was read collapses to something else. Every path leads to one state.
    """
    target = [int(v) for v in target if v]
    size = 2 * len(target) + 1
    steps = np.full((size + 1, classes), size)
    for s in range(size):
        done = (s + 1) // 2
        steps[s, 0] = 2 * done
        if s % 2:
            steps[s, target[done - 1]] = s
        if done < len(target) and (s % 2 == 0 or target[done] != target[done - 1]):
            steps[s, target[done]] = 2 * done + 1
    accepts = np.arange(size + 1) >= max(size - 2, 0)
    accepts[size] = False
    return steps, accepts


def _ends(log_y, steps, which):
    """For every time, the log-probability that the rest of the path ends in the states ``which``, by the state now."""
    ends = [np.where(which, 0.0, NEVER).astype(log_y.dtype)]
    for row in log_y[::-1]:
        ends.append(_log_sum(row + ends[-1][steps], 1))
    return ends[::-1]


def _loss(log_y, target):
    """-log P(target). A small one is -log(1 - q), with q the probability of all other sequences: no 1 - (1 - q)."""
    steps, accepts = _automaton(target, log_y.shape[1])
    right, wrong = (_ends(log_y, steps, which)[0][0] for which in (accepts, ~accepts))
    if right == NEVER:
        return np.zeros_like(right)
    return np.where(wrong < -1, -np.log1p(-np.exp(np.minimum(wrong, -1))), -right)


def _gradient(log_y, target):
    """The derivative of ``_loss`` by the logits, of the shape of ``log_y``.

    That by logit j of a frame is the sum over k of (W_kj - W_jk) / P(target), where W_kj is the
    probability of symbol k there with the path accepted, times that of j, with which it would not be.
    It is y_j less the posterior of j, but never takes that difference of two numbers near 1.
    """
    steps, accepts = _automaton(target, log_y.shape[1])
    mirror = accepts[:, None] & ~accepts
    apart = [np.where(mirror, 0.0, NEVER).astype(log_y.dtype)]  # of two states: the rest is accepted from one, not from the other
    for row in log_y[::-1]:
        apart.append(_log_sum(row + apart[-1][steps[:, None], steps[None, :]], 2))
    total = _ends(log_y, steps, accepts)[0][0]
    if total == NEVER:
        return np.zeros_like(log_y)
    at = np.where(np.arange(len(accepts)) == 0, 0.0, NEVER).astype(log_y.dtype)[:-1]
    alive, slopes = steps[:-1], []
    leads = alive[:, :, None] == np.arange(len(at))
    before, by = np.any(leads, axis=1), np.argmax(np.any(leads, axis=0), axis=0)
    for row, rest in zip(log_y, apart[-2::-1], strict=True):
        swaps = _log_sum(at[:, None, None] + rest[alive[:, :, None], alive[:, None, :]], 0) + row[:, None] + row
        swaps = np.exp(swaps - total)
        slopes.append(np.sum(swaps - swaps.T, axis=0))
        at = _log_sum(np.where(before, at[:, None], NEVER), 0) + row[by]
    return np.stack(slopes)


def _counts(labels, dtype):
    """The lengths of the targets, at least 1, to divide by."""
    return np.maximum(np.sum(labels > 0, axis=1), 1).astype(dtype)


def _ctc_torch(logits, labels, lengths, reduction):
    log_y = torch.log_softmax(logits, 2)
    counts = (labels > 0).sum(1)
    return torch.nn.functional.ctc_loss(log_y, labels[labels > 0], torch.tensor(lengths), counts, reduction=reduction, zero_infinity=True)


@spec(
    "ctc",
    family="loss",
    logits=Real("3", "2", "4", upto=64),
    labels=Labels("2", "2", below="symbols"),
    lengths=Option((3, 3), (2, 3)),
    reduction=Option("mean", "sum", "none"),
    torch=_ctc_torch,
)
def ctc(logits, labels, lengths, reduction):
    """-log of the probability that the symbols of all frames, repeats merged and then blanks (0) dropped, spell the target.

    logits: (time, batch, classes), normalised here by log softmax; labels: (batch, longest), padded
    by zeros, which are dropped; lengths: the frames of each sequence that count. A target that does not fit into them
    has the loss 0 (torch's zero_infinity). "mean" divides each loss by the length of its target (at least 1) and averages.
    The derivative is softmax(x) less the posterior of the symbols, 0 in frames that do not count. Logits
    are at most 64: posteriors are ratios of sums of log-probabilities, which round by their own size.
    Source: Graves, Fernandez, Gomez, Schmidhuber, Connectionist Temporal Classification, ICML (2006), sections 3
    and 4; the documentation of torch.nn.CTCLoss.
    """
    log_y = _log_softmax(logits)
    losses = np.stack([_loss(log_y[:n, b], labels[b]) for b, n in enumerate(lengths)])
    if reduction == "none":
        return losses
    return np.mean(losses / _counts(labels, logits.dtype)) if reduction == "mean" else np.sum(losses)


@ctc.vjp
def _(dy, logits, labels, lengths, reduction, y):
    log_y = _log_softmax(logits)
    slope = dy / (_counts(labels, logits.dtype) * len(labels)) if reduction == "mean" else dy + np.zeros(len(labels), logits.dtype)
    unused = np.zeros_like(logits)
    slopes = [np.concatenate([_gradient(log_y[:n, b], labels[b]), unused[n:, b]]) for b, n in enumerate(lengths)]
    return slope[:, None] * np.stack(slopes, axis=1)


@ctc.law("of an empty target, the negative log-likelihood of blanks throughout")
def _(f, logits, labels, lengths):
    logits = np.clip(logits, -30, 30)
    blanks = np.stack([np.sum(_log_softmax(logits)[:n, b, 0]) for b, n in enumerate(lengths)])
    return equal(f(logits, 0 * labels, lengths, "none"), -blanks)


@ctc.law("of one label: in one frame it alone, in two the paths 11, 1_ and _1")
def _(f, logits, labels):
    logits = np.clip(logits, -30, 30)
    one = np.stack([np.full(2, 1), np.zeros(2, int)], axis=1)
    y = np.exp(_log_softmax(logits))
    likely = np.stack([y[0, 0, 1], y[0, 1, 1] * (y[1, 1, 1] + y[1, 1, 0]) + y[0, 1, 0] * y[1, 1, 1]])
    return equal(f(logits, one, (1, 2), "none"), -np.log(likely))


@ctc.exhibit("softmax less the posterior, literally: 0 for a confident answer", expects="N104", part="vjp")
def _(dy, logits, labels, lengths, reduction, y):
    log_y = _log_softmax(logits)
    slopes = np.zeros_like(logits)
    weight = dy / (_counts(labels, logits.dtype) * len(labels)) if reduction == "mean" else dy + np.zeros(len(labels), logits.dtype)
    for b, n in enumerate(lengths):
        slopes[:n, b] = weight[b] * _less_posterior(log_y[:n, b], labels[b])
    return slopes


def _less_posterior(log_y, target):
    """The derivative by forward and backward variables, as in the paper (eq. 16)."""
    steps, accepts = _automaton(target, log_y.shape[1])
    ends = _ends(log_y, steps, accepts)
    if ends[0][0] == NEVER:
        return np.zeros_like(log_y)
    at, slopes = np.where(np.arange(len(accepts)) == 0, 0.0, NEVER).astype(log_y.dtype), []
    for row, rest in zip(log_y, ends[1:], strict=True):
        read = at[:, None] + row
        slopes.append(np.exp(row) - np.exp(_log_sum(read + rest[steps], 0) - ends[0][0]))
        at = np.stack([_log_sum(np.where(steps == s, read, NEVER), (0, 1)) for s in range(len(accepts))])
    return np.stack(slopes)
