"""Losses that pull embeddings of like things together and push unlike ones apart.

Embeddings are rows, of shape (batch, features); distances are Euclidean. At coincident embeddings the
distance has a kink, where the subgradient 0 is taken.
"""

from __future__ import annotations

import numpy as np
from gradcheck.specs._shared import EVERY, reduce, share, softmax_less, surprisal

from gradcheck import Mask, Option, Real, Sign, at_most, equal, spec
from gradcheck.lazy import torch


def _length(v):
    """The Euclidean length of every row and its direction (0 for a row of zeros); no square underflows."""
    scale = np.max(np.abs(v), axis=-1, keepdims=True)
    scaled = v / np.where(scale > 0, scale, 1)
    root = np.sqrt(np.sum(scaled * scaled, axis=-1, keepdims=True))
    return (scale * root)[..., 0], scaled / np.where(scale > 0, root, 1)


def _rows(dy, count, reduction):
    """The cotangent of every row's loss, as a column."""
    return np.reshape(share(dy, count, reduction), (-1, 1))


def _contrastive_torch(a, b, same, margin, reduction):
    d = torch.linalg.vector_norm(a - b, dim=-1)
    losses = same * ((a - b) ** 2).sum(-1) + (1 - same) * torch.relu(margin - d) ** 2
    return losses if reduction == "none" else getattr(losses, reduction)()


@spec(
    "contrastive",
    family="loss",
    a=Real("batch", "2", kinks=(0.0, 1.0)),
    b=Real("batch", "2", kinks=(0.0, 1.0), ties="a"),
    same=Mask("batch"),
    margin=Option(1.0, 2.0),
    reduction=Option("mean", "sum", "none"),
    torch=_contrastive_torch,
)
def contrastive(a, b, same, margin, reduction):
    """d^2 of a like pair (same = 1), max(0, margin - d)^2 of an unlike one, with d = |a - b|.

    a, b: (batch, features), same: (batch,). The derivative by a is 2 (a - b), or -2 (margin - d) along
    (a - b) / d; by b its negative. At a = b an unlike pair sits on a peak, where 0 is taken.
    Reference: composed of torch primitives. Source: Hadsell, Chopra, LeCun, Dimensionality Reduction by
    Learning an Invariant Mapping, CVPR (2006), eq. 4 (there with halves).
    """
    distance, _ = _length(a - b)
    missing = np.maximum(0, margin - distance)
    return reduce(np.where(same > 0, distance * distance, missing * missing), reduction)


@contrastive.vjp
def _(dy, a, b, same, margin, reduction, y):
    distance, direction = _length(a - b)
    apart = -np.maximum(0, margin - distance)[:, None] * direction
    slope = 2 * _rows(dy, len(a), reduction) * np.where(same[:, None] > 0, a - b, apart)
    return slope, -slope


@contrastive.law("symmetric in a and b, unchanged when both are moved alike")
def _(f, a, b, same, margin, reduction, shift=Real("2", upto=8)):
    loss = f(a, b, same, margin, reduction)
    return equal(loss, f(b, a, same, margin, reduction)), equal(loss, f(a + shift, b + shift, same, margin, reduction))


@contrastive.law("zero for like pairs that coincide and for unlike ones beyond the margin")
def _(f, a, same, margin):
    far = a + (1 - same[:, None]) * margin
    return equal(f(a, far, same, margin, "none"), 0)


@contrastive.exhibit("unlike pairs pushed along a - b, not along its direction", expects="G101", part="vjp")
def _(dy, a, b, same, margin, reduction, y):
    distance, _ = _length(a - b)
    apart = -np.maximum(0, margin - distance)[:, None] * (a - b)
    slope = 2 * _rows(dy, len(a), reduction) * np.where(same[:, None] > 0, a - b, apart)
    return slope, -slope


@spec(
    "triplet",
    family="loss",
    anchor=Real("batch", "2", kinks=(0.0, 1.0), upto=64),
    positive=Real("batch", "2", kinks=(0.0, 1.0), upto=64, ties="anchor"),
    negative=Real("batch", "2", kinks=(0.0, 1.0), upto=64),
    margin=Option(1.0, 0.5),
    eps=Option(1e-6, 0.5),
    reduction=Option("mean", "sum", "none"),
    torch=lambda anchor, positive, negative, margin, eps, reduction: torch.nn.functional.triplet_margin_loss(
        anchor, positive, negative, margin, eps=eps, reduction=reduction
    ),
)
def triplet(anchor, positive, negative, margin, eps, reduction):
    """max(0, d(a, p) - d(a, n) + margin), with d(a, b) = |a - b + eps|.

    All embeddings: (batch, features). torch adds the small eps to every feature of a difference. With the
    directions u = (a - p) / d(a, p) and v = (a - n) / d(a, n), the derivative within the margin is u - v
    by a, -u by p, v by n; it is 0 beyond, and u or v is 0 where its distance is. The difference
    of the distances, or of the directions, is small far away from p and n: neither is computed as it
    stands. Source: the documentation of torch.nn.TripletMarginLoss; Schroff, Kalenichenko, Philbin,
    FaceNet, CVPR (2015), eq. 3 (there with squared distances).
    """
    return reduce(np.maximum(0, _nearer(anchor, positive, negative, eps) + margin), reduction)


def _nearer(anchor, positive, negative, eps):
    """d(a, p) - d(a, n) = (n - p) . (a - p + a - n) / (d(a, p) + d(a, n)), which does not cancel."""
    p, n = anchor - positive + eps, anchor - negative + eps
    total = _length(p)[0] + _length(n)[0]
    return np.sum((negative - positive) * (p + n), axis=-1) / np.where(total > 0, total, 1)


def _turn(p, n, gap):
    """u - v for the directions u of p and v of n, given ``gap`` = p - n, free of cancellation.

    u_i - v_i is the sum over j of (u_i v_j - v_i u_j) (u_j + v_j), over 1 + u . v; the determinant of
    u and v is that of the gap and the direction of the shorter, over the length of the longer.
    """
    (long, u), (short, v) = _length(p), _length(n)
    further = np.sum(gap * (p + n), axis=-1) > 0  # the difference of the squares: rational, so that equal lengths are told in balls
    shorter, longest = np.where(further[:, None], v, u), np.where(further, long, short)
    side = gap / np.where(longest > 0, longest, 1)[:, None]
    turned = side[:, :, None] * shorter[:, None, :] - side[:, None, :] * shorter[:, :, None]
    cosine = np.sum(u * v, axis=-1, keepdims=True)
    narrow = np.sum(turned * (u + v)[:, None, :], axis=-1) / (1 + np.maximum(cosine, 0))
    return np.where(cosine > 0, narrow, u - v)


@triplet.vjp
def _(dy, anchor, positive, negative, margin, eps, reduction, y):
    p, n = anchor - positive + eps, anchor - negative + eps
    violated = _nearer(anchor, positive, negative, eps)[:, None] + margin > 0
    slope = np.where(violated, _rows(dy, len(anchor), reduction), 0)
    return slope * _turn(p, n, negative - positive), -slope * _length(p)[1], slope * _length(n)[1]


@triplet.law("zero when the negative is further away by the margin")
def _(f, anchor, positive, margin, away=Real("batch", "1", low=0, upto=8)):
    unit = np.where(np.arange(anchor.shape[1]) == 0, 1, 0)
    further = np.sqrt(np.sum((anchor - positive) ** 2, axis=-1, keepdims=True)) + margin + away
    return equal(f(anchor, positive, anchor + further * unit, margin, 0.0, "none"), 0)


@triplet.law("the margin when positive and negative are the same, never more than that by more than their distance")
def _(f, anchor, positive, negative, margin, eps):
    apart = np.sqrt(np.sum((positive - negative) ** 2, axis=-1))
    return (
        equal(f(anchor, positive, positive, margin, eps, "none"), margin),
        at_most(f(anchor, positive, negative, margin, eps, "none"), margin + apart),
    )


@triplet.exhibit("anchor's gradient that misses the negative", expects="G101", part="vjp")
def _(dy, anchor, positive, negative, margin, eps, reduction, y):
    violated = _nearer(anchor, positive, negative, eps)[:, None] + margin > 0
    slope = np.where(violated, _rows(dy, len(anchor), reduction), 0)
    u, v = _length(anchor - positive + eps)[1], _length(anchor - negative + eps)[1]
    return slope * u, -slope * u, slope * v


def _margins(queries, keys, temperature):
    """q_i . (k_j - k_i) / temperature: the similarities less the one of the matching key, which would cancel."""
    return np.sum(queries[:, None, :] * (keys[None, :, :] - keys[:, None, :]), axis=-1) / temperature


def _matching(queries, keys, temperature):
    """Cross entropy of every query for its own key among all keys."""
    return surprisal(_margins(queries, keys, temperature), np.eye(len(queries), dtype=bool))


def _matching_vjp(slope, queries, keys, temperature):
    """Gradients by the queries and the keys, for a column ``slope`` of cotangents."""
    own = np.eye(len(queries), dtype=bool)
    pull = slope * softmax_less(_margins(queries, keys, temperature), own) / temperature
    others = np.where(own, 0, pull)
    to_queries = np.sum(others[:, :, None] * (keys[None, :, :] - keys[:, None, :]), axis=1)
    return to_queries, np.sum(pull[:, :, None] * queries[:, None, :], axis=0)


def _matching_torch(queries, keys, temperature):
    return torch.nn.functional.cross_entropy(queries @ keys.T / temperature, torch.arange(len(queries)))


def _by_definition(similarities):
    """The mean cross entropy of a square of similarities whose diagonal matches, for laws: they run in exact arithmetic."""
    return np.mean(np.log(np.sum(np.exp(similarities), axis=1)) - np.diagonal(similarities))


@spec(
    "n_pair",
    family="loss",
    anchors=Real("batch", "2"),
    positives=Real("batch", "2"),
    strength=Option(0.002, 0.0),
    torch=lambda anchors, positives, strength: _matching_torch(anchors, positives, 1)
    + strength * ((anchors**2).sum(1) + (positives**2).sum(1)).mean(),
)
def n_pair(anchors, positives, strength):
    """Mean of log(1 + sum over j != i of e^(a_i . p_j - a_i . p_i)), plus strength times the mean of |a_i|^2 + |p_i|^2.

    anchors, positives: (batch, features); the positives of the others serve as negatives. With q the
    softmax of the similarities over j, the derivative by a_i is the sum of q_ij (p_j - p_i), and by
    p_j that of (q_ij - [i = j]) a_i, over N; the L2 term adds 2 strength / N times the embedding.
    Reference: composed of torch primitives. Source: Sohn, Improved Deep Metric Learning with Multi-class
    N-pair Loss Objective, NIPS (2016), section 3.2.
    """
    return np.mean(_matching(anchors, positives, 1)) + strength * np.sum(anchors**2 + positives**2) / len(anchors)


@n_pair.vjp
def _(dy, anchors, positives, strength, y):
    share = dy / len(anchors)
    to_anchors, to_positives = _matching_vjp(share, anchors, positives, 1)
    return to_anchors + 2 * strength * share * anchors, to_positives + 2 * strength * share * positives


@n_pair.law("cross entropy over the similarities, plus the L2 term")
def _(f, anchors, positives, strength):
    a, p = np.clip(anchors, -3, 3), np.clip(positives, -3, 3)
    squares = np.sum(a * a + p * p) / len(a)
    return equal(f(a, p, strength), _by_definition(np.matmul(a, p.T)) + strength * squares)


@n_pair.law("log N when all positives are the same")
def _(f, anchors, positives):
    return equal(f(anchors, 0 * positives + positives[:1], 0.0), np.log(len(anchors)))


@n_pair.exhibit("L2 term forgotten in the backward", expects="G101", part="vjp")
def _(dy, anchors, positives, strength, y):
    return _matching_vjp(dy / len(anchors), anchors, positives, 1)


@spec(
    "info_nce",
    family="loss",
    queries=Real("batch", "2"),
    keys=Real("batch", "2"),
    temperature=Option(1.0, 0.07),
    symmetric=Option(False, True),
    torch=lambda queries, keys, temperature, symmetric: (
        (_matching_torch(queries, keys, temperature) + _matching_torch(keys, queries, temperature)) / 2
        if symmetric
        else _matching_torch(queries, keys, temperature)
    ),
)
def info_nce(queries, keys, temperature, symmetric):
    """Mean cross entropy of the similarities q_i . k_j / temperature, each query for its own key.

    queries, keys: (batch, features), used as they are (normalise them before for cosine similarities); the
    other keys of the batch are the negatives. ``symmetric`` averages it with that of the keys for the
    queries, as CLIP does. The derivative by q_i is the mean of k_j - k_i under the softmax, over
    the temperature and N. Reference: composed of torch primitives. Source: van den Oord, Li, Vinyals,
    Representation Learning with Contrastive Predictive Coding, arXiv:1807.03748 (2018), eq. 4.
    """
    loss = np.mean(_matching(queries, keys, temperature))
    return (loss + np.mean(_matching(keys, queries, temperature))) / 2 if symmetric else loss


@info_nce.vjp
def _(dy, queries, keys, temperature, symmetric, y):
    slope = dy / len(queries)
    to_queries, to_keys = _matching_vjp(slope, queries, keys, temperature)
    if not symmetric:
        return to_queries, to_keys
    back_to_keys, back_to_queries = _matching_vjp(slope, keys, queries, temperature)
    return (to_queries + back_to_queries) / 2, (to_keys + back_to_keys) / 2


@info_nce.law("the cross entropy over the similarities")
def _(f, queries, keys, temperature):
    q, k = np.clip(queries, -1, 1), np.clip(keys, -1, 1)
    return equal(f(q, k, temperature, False), _by_definition(np.matmul(q, k.T) / temperature))


@info_nce.law("unchanged when all keys are moved alike; symmetric in queries and keys")
def _(f, queries, keys, temperature, shift=Real("2", upto=8)):
    return (
        equal(f(queries, keys, temperature, False), f(queries, keys + shift, temperature, False)),
        equal(f(queries, keys, temperature, True), f(keys, queries, temperature, True)),
    )


@info_nce.exhibit("temperature forgotten in the backward", expects="G102", part="vjp")
def _(dy, queries, keys, temperature, symmetric, y):
    there, back = (_matching_vjp(dy / len(queries), *pair, temperature) for pair in ((queries, keys), (keys, queries)))
    both = (there[0] + back[1]) / 2, (there[1] + back[0]) / 2
    return tuple(temperature * g for g in (both if symmetric else there))


def _info_nce_negatives_torch(queries, positives, negatives, temperature):
    similarities = torch.cat([(queries * positives).sum(1, keepdim=True), queries @ negatives.T], dim=1)
    return torch.nn.functional.cross_entropy(similarities / temperature, torch.zeros(len(queries), dtype=torch.int64))


@spec(
    "info_nce_negatives",
    family="loss",
    queries=Real("batch", "2", upto=16),
    positives=Real("batch", "2", upto=16),
    negatives=Real("count", "2", upto=16),
    temperature=Option(1.0, 0.07),
    torch=_info_nce_negatives_torch,
)
def info_nce_negatives(queries, positives, negatives, temperature):
    """Mean of log(1 + sum over k of e^(q . (n_k - p) / temperature)): one positive a query, negatives shared by all.

    queries, positives: (batch, features), negatives: (count, features). With r_k the softmax
    probabilities of the negatives, the derivative by q is the sum of r_k (n_k - p), by p minus the sum of
    r_k q, by n_k the sum of r_k q over the batch, each over the temperature and N.
    Reference: composed of torch primitives. Source: He, Fan, Wu, Xie, Girshick, Momentum Contrast for
    Unsupervised Visual Representation Learning, CVPR (2020), eq. 1.
    """
    return np.mean(surprisal(*_similarities(queries, positives, negatives, temperature)))


def _similarities(queries, positives, negatives, temperature):
    """Of each query with its positive, in front, and with all negatives, over the temperature; and the mask of the positive."""
    own = np.sum(queries * positives, axis=1, keepdims=True)
    similarities = np.concatenate([own, queries @ negatives.T], axis=1) / temperature
    return similarities, np.broadcast_to(np.arange(similarities.shape[1]) == 0, similarities.shape)


@info_nce_negatives.vjp
def _(dy, queries, positives, negatives, temperature, y):
    pull = dy / len(queries) * softmax_less(*_similarities(queries, positives, negatives, temperature)) / temperature
    push = pull[:, 1:, None]
    gaps = negatives[None, :, :] - positives[:, None, :]
    return np.sum(push * gaps, axis=1), pull[:, :1] * queries, np.sum(push * queries[:, None, :], axis=0)


@info_nce_negatives.law("log(1 + K) when all K negatives equal the positives")
def _(f, queries, positives, negatives, temperature):
    same = positives[:1]
    return equal(f(queries, 0 * positives + same, 0 * negatives + same, temperature), np.log(1 + len(negatives)))


@info_nce_negatives.law("the gradients of all keys sum to zero for a single query")
def _(f, queries, positives, negatives, temperature):
    _, to_positive, to_negatives = f.vjp(np.array(1.0), queries[:1], positives[:1], negatives, temperature)
    return equal(to_positive[0], -np.sum(to_negatives, axis=0))


_COSINE_EPS = float(np.float32(1e-12))
"""torch has 1e-12 in float32, whatever the dtype."""


@spec(
    "cosine_embedding",
    family="loss",
    a=Real("batch", "2", kinks=(0.0, 1.0)),
    b=Real("batch", "2", kinks=(0.0, 1.0), ties="a"),
    labels=Sign("batch"),
    margin=Option(0.0, 0.5),
    reduction=Option("mean", "sum", "none"),
    torch=lambda a, b, labels, margin, reduction: torch.nn.functional.cosine_embedding_loss(
        a, b, labels, margin, reduction=reduction
    ),
)
def cosine_embedding(a, b, labels, margin, reduction):
    """1 - cos(a, b) of a like pair (y = 1), max(0, cos(a, b) - margin) of an unlike one (y = -1).

    cos(a, b) = a . b / sqrt((|a|^2 + e) (|b|^2 + e)) with e = 1e-12, as torch has it, so that zeros have a
    cosine of 0. Its derivative by a_i is (e b_i + sum over j of a_j (a_j b_i - a_i b_j)) / ((|a|^2 + e)^1.5
    (|b|^2 + e)^0.5), which does not cancel; nor does 1 - cos when written with the same determinants.
    At cos = margin 0 is taken. Source: the documentation of torch.nn.CosineEmbeddingLoss.
    """
    cosine, lack = _cosine(a, b)
    return reduce(np.where(labels > 0, lack, np.maximum(0, cosine - margin)), reduction)


def _cosine(a, b):
    """The cosine of every pair of rows, and 1 less it: (A B - (a . b)^2) / (sqrt(A B) (sqrt(A B) + a . b))."""
    dot, a2, b2 = np.sum(a * b, axis=-1), np.sum(a * a, axis=-1), np.sum(b * b, axis=-1)
    root = np.sqrt(a2 + _COSINE_EPS) * np.sqrt(b2 + _COSINE_EPS)
    turned = a[:, :, None] * b[:, None, :] - a[:, None, :] * b[:, :, None]
    across = np.sum(turned * turned, axis=(1, 2)) / 2 + _COSINE_EPS * (a2 + b2 + _COSINE_EPS)
    return dot / root, np.where(dot > 0, across / root / (root + np.maximum(dot, 0)), 1 - dot / root)


def _cosine_slope(a, b):
    """The derivative of the cosine by a."""
    a2, b2 = (np.sum(v * v, axis=-1, keepdims=True) + _COSINE_EPS for v in (a, b))
    turned = a[:, None, :] * b[:, :, None] - a[:, :, None] * b[:, None, :]
    return (_COSINE_EPS * b + np.sum(turned * a[:, None, :], axis=-1)) / (a2 * np.sqrt(a2) * np.sqrt(b2))


@cosine_embedding.vjp
def _(dy, a, b, labels, margin, reduction, y):
    slope, cosine = _rows(dy, len(a), reduction), _cosine(a, b)[0][:, None]
    slope = np.where(labels[:, None] > 0, -slope, np.where(cosine > margin, slope, 0))
    return slope * _cosine_slope(a, b), slope * _cosine_slope(b, a)


@cosine_embedding.law("symmetric, and unchanged when a feature changes its sign in both")
def _(f, a, b, labels, margin, reduction, flip=Sign("2")):
    loss = f(a, b, labels, margin, reduction)
    return equal(loss, f(b, a, labels, margin, reduction)), equal(loss, f(a * flip, b * flip, labels, margin, reduction))


@cosine_embedding.law("opposite pairs cost as much more as like ones less: f(a, b) + f(a, -b) = 2")
def _(f, a, b, margin):
    ones = np.ones(len(a))
    return equal(f(a, b, ones, margin, "none") + f(a, -b, ones, margin, "none"), 2)


@cosine_embedding.exhibit("1 - cos as it stands", expects="N104")
def _(a, b, labels, margin, reduction):
    cosine, _ = _cosine(a, b)
    return reduce(np.where(labels > 0, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


@spec(
    "margin_ranking",
    family="loss",
    a=Real("batch", kinks=(0.0, 1.0)),
    b=Real("batch", kinks=(0.0, 1.0), ties="a"),
    labels=Sign("batch"),
    margin=Option(0.0, 1.0),
    reduction=Option("mean", "sum", "none"),
    dtypes=EVERY,
    torch=lambda a, b, labels, margin, reduction: torch.nn.functional.margin_ranking_loss(a, b, labels, margin, reduction=reduction),
)
def margin_ranking(a, b, labels, margin, reduction):
    """max(0, margin - y (a - b)): a is to rank above b (y = 1) or below it (y = -1), by the margin.

    All of shape (batch,). The derivative is -y by a and y by b within the margin, 0 beyond and, by
    choice, at it. Source: the documentation of torch.nn.MarginRankingLoss.
    """
    return reduce(np.maximum(0, margin - labels * (a - b)), reduction)


@margin_ranking.vjp
def _(dy, a, b, labels, margin, reduction, y):
    slope = np.where(margin - labels * (a - b) > 0, -labels, 0) * share(dy, a.size, reduction)
    return slope, -slope


@margin_ranking.law("unchanged when both scores are moved alike, or swapped together with the label")
def _(f, a, b, labels, margin, reduction, shift=Real(upto=8)):
    loss = f(a, b, labels, margin, reduction)
    return equal(loss, f(a + shift, b + shift, labels, margin, reduction)), equal(loss, f(b, a, -labels, margin, reduction))


@margin_ranking.law("both orders together cost 2 margin, or |a - b| + margin if that is more")
def _(f, a, b, labels, margin):
    both = f(a, b, labels, margin, "none") + f(a, b, -labels, margin, "none")
    return equal(both, np.maximum(2 * margin, np.abs(a - b) + margin))


@margin_ranking.exhibit("both gradients of the same sign", expects="G103", part="vjp")
def _(dy, a, b, labels, margin, reduction, y):
    slope = np.where(margin - labels * (a - b) > 0, -labels, 0) * share(dy, a.size, reduction)
    return slope, slope
