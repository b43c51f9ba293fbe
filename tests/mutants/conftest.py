from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Two workers on two cores are faster than two times two threads."""
    import torch

    torch.set_num_threads(1)
