from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from toposheet import Topography
from toposheet.text.tokenizer import train_tokenizer

DOCUMENTS = [
    "The river ran past the old mill and the children threw stones from the bridge.",
    "A clever engineer wrote long letters about machines, weather and the price of bread.",
    "When winter came, snow covered every road and nobody travelled to the distant city.",
] * 5


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(DOCUMENTS, vocabulary=300, context=48)


@pytest.fixture
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def topo(model: GPT2LMHeadModel) -> Topography:
    return Topography.per_tap(model, seed=0)


@pytest.fixture
def stimuli() -> pd.DataFrame:
    texts = [document[: 12 + 7 * i] for i, document in enumerate(DOCUMENTS[:6])]
    return pd.DataFrame({"text": texts, "condition": ["long", "short"] * 3})


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def data() -> Path:
    """The published material beside the checkout; tests that need it are skipped where it is absent."""
    import os

    folder = Path(os.environ.get("TOPOSHEET_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no published stimuli in {folder}: set TOPOSHEET_DATA")
    return folder
