"""Schedules of the learning rate: the rate of every step, against torch.optim.lr_scheduler."""

from __future__ import annotations

import math

import numpy as np

from gradcheck import Option, Real, at_most, equal, spec
from gradcheck.lazy import torch

RATE = Real(low=1e-6, upto=100, differentiable=False)


def _rates(make):
    """A reference: the rates that the torch scheduler ``make(optimizer, *options)`` sets in so many steps."""

    def reference(lr, *options):
        rule = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=float(lr))
        scheduler, rates = make(rule, *options), []
        for _ in range(options[-1]):
            rates.append(rule.param_groups[0]["lr"])
            rule.step()
            scheduler.step()
        return torch.tensor(rates, dtype=torch.float64)

    return reference


def _times(lr, factors):
    return lr * np.array(factors, dtype=lr.dtype)


@spec(
    "step_schedule",
    family="schedule",
    lr=RATE,
    every=Option(2, 3),
    gamma=Option(0.1, 0.5),
    steps=Option(6),
    torch=_rates(lambda rule, every, gamma, steps: torch.optim.lr_scheduler.StepLR(rule, every, gamma)),
)
def step_schedule(lr, every, gamma, steps):
    """lr gamma^floor(t / every). Source: the documentation of torch.optim.lr_scheduler.StepLR."""
    return _times(lr, [gamma ** (t // every) for t in range(steps)])


@step_schedule.law("falls by gamma every so many steps, and not between")
def _(f, lr, every, gamma, steps):
    rates = f(lr, every, gamma, steps)
    return equal(rates[every:], gamma * rates[:-every]), equal(rates[1:every], rates[0])


@spec(
    "exponential_schedule",
    family="schedule",
    lr=RATE,
    gamma=Option(0.9, 0.5),
    steps=Option(6),
    torch=_rates(lambda rule, gamma, steps: torch.optim.lr_scheduler.ExponentialLR(rule, gamma)),
)
def exponential_schedule(lr, gamma, steps):
    """lr gamma^t. Source: the documentation of torch.optim.lr_scheduler.ExponentialLR."""
    return _times(lr, [gamma**t for t in range(steps)])


@exponential_schedule.law("falls by gamma at every step")
def _(f, lr, gamma, steps):
    rates = f(lr, gamma, steps)
    return equal(rates[0], lr), equal(rates[1:], gamma * rates[:-1])


def _torch_cosine(rule, warm, steps):
    schedulers = torch.optim.lr_scheduler
    cosine = schedulers.CosineAnnealingLR(rule, steps - warm)
    if not warm:
        return cosine
    rising = schedulers.LinearLR(rule, 1 / (warm + 1), total_iters=warm)
    return schedulers.SequentialLR(rule, [rising, cosine], [warm])


@spec("cosine_schedule", family="schedule", lr=RATE, warm=Option(2, 0, 3), steps=Option(8), torch=_rates(_torch_cosine))
def cosine_schedule(lr, warm, steps):
    """lr (t + 1) / (warm + 1) in the steps of the warm-up, then half a wave from lr down to 0: lr (1 + cos(pi s)) / 2.

    Written lr sin^2(pi (1 - s) / 2), since 1 + cos cancels where the cosine nears -1; s is the share of the way.
    Source: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR (2017), eq. 5.
    """
    rising = [(t + 1) / (warm + 1) for t in range(warm)]
    falling = [math.sin(math.pi / 2 * (steps - t) / (steps - warm)) ** 2 for t in range(warm, steps)]
    return _times(lr, rising + falling)


@cosine_schedule.law("rises by equal parts up to lr, then falls")
def _(f, lr, warm, steps):
    rates = f(lr, warm, steps)
    return equal(rates[: warm + 1], lr * np.arange(1, warm + 2) / (warm + 1)), at_most(rates[warm + 1 :], rates[warm:-1])


@cosine_schedule.law("two steps that are as far from the two ends add up to lr")
def _(f, lr, warm, steps):
    falling = f(lr, warm, steps)[warm + 1 :]
    return equal(falling + falling[::-1], lr)


def _torch_one_cycle(rule, rising, steps):
    return torch.optim.lr_scheduler.OneCycleLR(rule, rule.param_groups[0]["lr"], steps, pct_start=rising)


@spec(
    "one_cycle_schedule",
    family="schedule",
    lr=RATE,
    rising=Option(0.375, 0.5),
    steps=Option(8),
    torch=_rates(_torch_one_cycle),
)
def one_cycle_schedule(lr, rising, steps):
    """From lr / 25 up to lr in the share ``rising`` of the steps, then down to lr / 250,000, each along half a cosine wave.

    Source: Smith and Topin, Super-Convergence, arXiv 1708.07120 (2017); the documentation of torch.optim.lr_scheduler.OneCycleLR.
    """
    top, last = rising * steps - 1, steps - 1
    up = [_wave(1 / 25, 1, t / top) for t in range(int(top) + 1)]
    return _times(lr, up + [_wave(1, 1 / 25e4, (t - top) / (last - top)) for t in range(int(top) + 1, steps)])


def _wave(start, end, share):
    return end + (start - end) * math.cos(math.pi / 2 * share) ** 2


@one_cycle_schedule.law("begins at lr / 25, peaks at lr, ends at lr / 250,000")
def _(f, lr, rising, steps):
    rates = f(lr, rising, steps)
    return equal(25 * rates[0], lr), equal(rates[int(rising * steps) - 1], lr), equal(25e4 * rates[-1], lr), at_most(rates, lr)
