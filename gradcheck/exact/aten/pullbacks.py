"""Backwards to find by autograd through the decomposition of their forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def _resized(forward: Any) -> Callable[..., Any]:
    return lambda grad, out, size, *rest, **names: (forward, [torch.zeros(size)], (out, *rest, *names.values()), grad)


def _attention(q: Any, k: Any, v: Any, mask: Any, dropout: float, causal: bool, scale: Any) -> Any:
    return torch.ops.aten._scaled_dot_product_attention_math(q, k, v, mask, dropout, causal, scale=scale)[0]


# (forward, primals, other arguments, cotangent)
PULLBACKS: dict[str, Callable[..., Any]] = {
    "upsample_linear1d_backward": _resized(torch.ops.aten.upsample_linear1d.default),
    "upsample_bilinear2d_backward": _resized(torch.ops.aten.upsample_bilinear2d.default),
    "upsample_trilinear3d_backward": _resized(torch.ops.aten.upsample_trilinear3d.default),
    "upsample_bicubic2d_backward": _resized(torch.ops.aten.upsample_bicubic2d.default),
    "_adaptive_avg_pool2d_backward":
        lambda grad, x: (torch.ops.aten._adaptive_avg_pool2d.default, [x], (list(grad.shape[-2:]),), grad),
    "grid_sampler_2d_backward": lambda grad, x, grid, *rest: (torch.ops.aten.grid_sampler_2d.default, [x, grid], rest[:3], grad),
    "_scaled_dot_product_flash_attention_for_cpu_backward": lambda grad, q, k, v, y, logs, p, causal, attn_mask=None, scale=None:
        (_attention, [q, k, v], (attn_mask, p, causal, scale), grad),
    "multi_margin_loss_backward": lambda grad, x, target, p, margin, weight=None, reduction=1:
        (torch.ops.aten.multi_margin_loss.default, [x], (target, p, margin, weight, reduction), grad),
}  # fmt: skip
