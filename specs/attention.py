"""Attention: scaled dot products with masks, several heads, and positions written into the input.

Masks are 1 where a query may look at a key and 0 where not. A query that may look nowhere gives zeros.
"""

from __future__ import annotations

import math

import numpy as np

from gradcheck import Mask, Option, Real, at_most, equal, spec
from gradcheck.lazy import torch


def _allowed(mask, causal):
    """Where a query may look: where the mask says so and, if causal, at no key behind its own place."""
    return (mask == 1) & (np.tri(*mask.shape, dtype=bool) if causal else True)


def _top(scores, allowed):
    """The largest allowed score of each row; the smallest of all, which is finite too, where none is allowed."""
    return np.max(np.where(allowed, scores, np.min(scores, axis=-1, keepdims=True)), axis=-1, keepdims=True)


def _masked_softmax(scores, allowed, scale):
    """softmax of scores times scale over the allowed entries of each row; a row without any is 0."""
    e = np.where(allowed, np.exp(np.where(allowed, scores - _top(scores, allowed), 0) * scale), 0)
    total = np.sum(e, axis=-1, keepdims=True)
    return e / np.where(total > 0, total, 1)


def _scores_vjp(dp, p, scores, allowed):
    """p (dp - sum p dp), with dp measured from that of the largest score: else it cancels where p is nearly 1."""
    top = np.argmax(allowed & (scores == _top(scores, allowed)), axis=-1, keepdims=True)
    gap = dp - np.take_along_axis(dp, top, axis=-1)
    return p * (gap - np.sum(p * gap, axis=-1, keepdims=True))


def _torch_allowed(mask, causal):
    return torch.ones_like(mask, dtype=torch.bool).tril() & (mask == 1) if causal else mask == 1


@spec(
    "scaled_dot_product_attention",
    family="layer",
    q=Real("2", "2"),
    k=Real("2", "2"),
    v=Real("2", "1"),
    mask=Mask("2", "2"),
    causal=Option(False, True),
    scale=Option(None, 0.5),
    torch=lambda q, k, v, mask, causal, scale: torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=_torch_allowed(mask, causal), scale=scale
    ),
)
def scaled_dot_product_attention(q, k, v, mask, causal, scale):
    """softmax(q k^T scale) v over the keys that the mask allows; scale is 1 / sqrt(depth) by default.

    q: (queries, depth), k: (keys, depth), v: (keys, values), mask: (queries, keys). With p the weights, dv =
    p^T dy and dp = dy v^T; through the softmax, p (dp - sum p dp) goes on to q k^T. A query without
    any key gives zeros, where a softmax over -inf alone gives NaN.
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1.
    """
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    return _masked_softmax(q @ k.T, _allowed(mask, causal), scale) @ v


@scaled_dot_product_attention.vjp
def _(dy, q, k, v, mask, causal, scale, y):
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    scores, allowed = q @ k.T, _allowed(mask, causal)
    p = _masked_softmax(scores, allowed, scale)
    to_scores = scale * _scores_vjp(dy @ v.T, p, scores, allowed)
    return to_scores @ k, to_scores.T @ q, p.T @ dy


@scaled_dot_product_attention.law("between the smallest and the largest value when nothing is masked")
def _(f, q, k, v, mask, scale):
    y = f(q, k, v, np.ones_like(mask), False, scale)
    return at_most(np.min(v, axis=0), y), at_most(y, np.max(v, axis=0))


@scaled_dot_product_attention.law("unchanged by a shift of all keys, and when keys and values change places together")
def _(f, q, k, v, mask, scale, shift=Real("2", upto=8)):
    y = f(q, k, v, mask, False, scale)
    return equal(f(q, k + shift, v, mask, False, scale), y), equal(f(q, k[::-1], v[::-1], mask[:, ::-1], False, scale), y)


@scaled_dot_product_attention.law("causal: the first query sees the first value alone")
def _(f, q, k, v, mask, scale):
    return equal(f(q, k, v, np.ones_like(mask), True, scale)[0], v[0])


@scaled_dot_product_attention.exhibit("masked by adding -1e9, which lets a query without keys see them all", expects=("N104", "V101"))
def _(q, k, v, mask, causal, scale):
    scores = q @ k.T * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    scores = scores + np.where(_allowed(mask, causal), 0, -1e9).astype(q.dtype)
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True) @ v


def _heads(a, heads):
    """(tokens, dims) to (heads, tokens, dims / heads)."""
    return np.swapaxes(np.reshape(a, (len(a), heads, -1)), 0, 1)


def _joined(a):
    """The inverse of ``_heads``."""
    return np.reshape(np.swapaxes(a, 0, 1), (a.shape[1], -1))


def _torch_multi_head(x, z, wq, wk, wv, wo, mask, heads):
    dims = x.shape[-1]
    q, k, v = ((a @ w).reshape(len(a), heads, dims // heads).transpose(0, 1) for a, w in ((x, wq), (z, wk), (z, wv)))
    y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask == 1)
    return y.transpose(0, 1).reshape(len(x), dims) @ wo


@spec(
    "multi_head_attention",
    family="layer",
    x=Real("2", "2", upto=8),
    z=Real("2", "2", upto=8),
    wq=Real("2", "2", upto=8),
    wk=Real("2", "2", upto=8),
    wv=Real("2", "2", upto=8),
    wo=Real("2", "2", upto=8),
    mask=Mask("2", "2"),
    heads=Option(1, 2),
    torch=_torch_multi_head,
)
def multi_head_attention(x, z, wq, wk, wv, wo, mask, heads):
    """Attention of x to z in several heads: queries x Wq, keys z Wk, values z Wv; the heads, joined, times Wo.

    x: (queries, dims), z: (keys, dims), the weights: (dims, dims); each head has its own dims / heads
    columns and scales by the root of that. z receives what comes from keys and from values; with z = x it is
    self-attention. Values go up to 8: scores are products of four, and the roundings of large ones alone decide who is
    looked at. Reference: torch's scaled_dot_product_attention between products.
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.2.
    """
    q, k, v = _heads(x @ wq, heads), _heads(z @ wk, heads), _heads(z @ wv, heads)
    p = _masked_softmax(q @ np.swapaxes(k, 1, 2), mask == 1, 1 / math.sqrt(q.shape[-1]))
    return _joined(p @ v) @ wo


@multi_head_attention.vjp
def _(dy, x, z, wq, wk, wv, wo, mask, heads, y):
    q, k, v = _heads(x @ wq, heads), _heads(z @ wk, heads), _heads(z @ wv, heads)
    scale = 1 / math.sqrt(q.shape[-1])
    scores = q @ np.swapaxes(k, 1, 2)
    p = _masked_softmax(scores, mask == 1, scale)
    to_heads = _heads(dy @ wo.T, heads)
    to_scores = scale * _scores_vjp(to_heads @ np.swapaxes(v, 1, 2), p, scores, mask == 1)
    to_q, to_k = _joined(to_scores @ k), _joined(np.swapaxes(to_scores, 1, 2) @ q)
    to_v = _joined(np.swapaxes(p, 1, 2) @ to_heads)
    return to_q @ wq.T, to_k @ wk.T + to_v @ wv.T, x.T @ to_q, z.T @ to_k, z.T @ to_v, _joined(p @ v).T @ dy


@multi_head_attention.law("one head with unit weights is scaled dot-product attention")
def _(f, x, z, mask):
    one = np.eye(2)
    return equal(f(x, z, one, one, one, one, mask, 1), scaled_dot_product_attention(x, z, z, mask, False, None))


@multi_head_attention.law("with query weights 0, every query gets the mean of the values")
def _(f, x, z, wq, wk, wv, wo, mask, heads):
    return equal(f(x, z, 0 * wq, wk, wv, wo, np.ones_like(mask), heads), np.mean(z @ wv @ wo, axis=0))


@spec(
    "positional_encoding",
    family="layer",
    x=Real("time", "4"),
    first=Option(0, 7),
    torch=lambda x, first: x + _torch_positions(x, first),
)
def positional_encoding(x, first):
    """x plus sines and cosines of the position: sin(t / 10000^(2i / d)) at 2i, cos of the same at 2i + 1.

    x: (time, d) with d even; t counts from ``first``. The encoding does not depend on x, so that the
    derivative is 1. Reference: composed of torch primitives.
    Source: Vaswani et al., Attention Is All You Need (2017), section 3.5.
    """
    return x + _positions(first, *x.shape).astype(x.dtype)


def _positions(first, time, dims):
    angles = (first + np.arange(time))[:, None] / 10000.0 ** (np.arange(0, dims, 2) / dims)
    return np.reshape(np.stack([np.sin(angles), np.cos(angles)], axis=-1), (time, dims))


def _torch_positions(x, first):
    time, dims = x.shape
    t = torch.arange(first, first + time, dtype=x.dtype)[:, None]
    angles = t / 10000.0 ** (torch.arange(0, dims, 2, dtype=x.dtype) / dims)
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).reshape(time, dims)


@positional_encoding.vjp
def _(dy, x, first, y):
    return +dy


@positional_encoding.law("what it adds lies between -1 and 1, and is as long as the root of d / 2")
def _(f, x, first):
    added = f(0 * x, first)
    return at_most(np.abs(added), 1), equal(np.sum(added * added, axis=1), 2)


@positional_encoding.law("a shift in time is a rotation, the same at every position")
def _(f, x, first):
    shifted, here, turn = f(0 * x, first + 3), f(0 * x, first), f(np.zeros((1, 4)), 3)
    sin, cos, by_sin, by_cos = here[:, ::2], here[:, 1::2], turn[:, ::2], turn[:, 1::2]
    return equal(shifted[:, ::2], sin * by_cos + cos * by_sin), equal(shifted[:, 1::2], cos * by_cos - sin * by_sin)


@positional_encoding.exhibit("added in float64 to float32", expects="N110")
def _(x, first):
    return x + _positions(first, *x.shape)
