from __future__ import annotations

import pytest

from gradcheck import examine


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Two workers on two cores are faster than two times two threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _little_shrinking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes, arguments and causes are asserted here, not how small the counterexample is."""
    monkeypatch.setattr(examine, "SHRINK_BUDGET", examine.SHRINK_BUDGET._replace(looks=20))
