"""What the tests of several commands share."""

import pytest
import torch
from tests.evaluation.conftest import blimp, broken_line
from tests.finetuning.conftest import sst2

import toposheet as ts

__all__ = ["blimp", "broken_line", "sst2"]


@pytest.fixture
def control(tmp_path, model, topo, tokenizer):
    """The folder of a model with other weights than the one in `folder`."""
    with torch.no_grad():
        model.transformer.wte.weight.add_(0.1 * torch.randn(300, 36, generator=torch.Generator().manual_seed(1)))
    ts.save(tmp_path / "control", ts.Subject(model, topo, tokenizer))
    return tmp_path / "control"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of its own."""
    monkeypatch.setenv("TOPOSHEET_CACHE", str(tmp_path / "cache"))
