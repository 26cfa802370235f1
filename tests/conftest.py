import importlib.util
import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from toposheet import Subject, Topography, save
from toposheet.cli import main
from toposheet.figures.style import STYLE
from toposheet.text.pipeline import prepare
from toposheet.text.plan import Executor, Preparation
from toposheet.text.tokenizer import train_tokenizer

DOCUMENTS = [
    "The river ran past the old mill and the children threw stones from the bridge.",
    "A clever engineer wrote long letters about machines, weather and the price of bread.",
    "When winter came, snow covered every road and nobody travelled to the distant city.",
] * 5


@pytest.fixture(scope="session", autouse=True)
def coarse_figures() -> Generator[None, None, None]:
    """Draw coarsely, with fonts that need no cutting, outside of the tests of figures: most tests only count them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toposheet.figures.files.DPI", 40)
        patch.setitem(STYLE, "pdf.fonttype", 3)
        yield


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = train_tokenizer(DOCUMENTS, vocabulary=300)
    tokenizer.model_max_length = 48
    tokenizer.bos_token = None  # so that it is known that no token stands before texts
    return tokenizer


@pytest.fixture(scope="session")
def prepared(tokenizer: PreTrainedTokenizerFast) -> Callable[..., Path]:
    """Prepare documents in a folder, as a user would who has them in one file."""

    def prepared(folder: Path, documents: list[str], **settings: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(folder / "tokenizer")
        source = folder / "documents.jsonl"
        source.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents))
        settings = {"tokenizer": str(folder / "tokenizer"), "validation_fraction": 0.1} | settings
        prepare(Preparation((str(source),), **settings), folder / "text", Executor(workers=1))
        return folder / "text"

    return prepared


@pytest.fixture
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def topo(model: GPT2LMHeadModel) -> Topography:
    return Topography.per_tap(model, seed=0)


@pytest.fixture
def subject(model: GPT2LMHeadModel, topo: Topography, tokenizer: PreTrainedTokenizerFast) -> Subject:
    return Subject(model, topo, tokenizer)


@pytest.fixture
def stimuli() -> pd.DataFrame:
    texts = [document[: 12 + 7 * i] for i, document in enumerate(DOCUMENTS[:6])]
    return pd.DataFrame({"text": texts, "condition": ["long", "short"] * 3})


@pytest.fixture
def ran(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command in this process, which must end well, and return what it prints."""

    def ran(*arguments: object) -> str:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        assert stop.value.code == 0, printed.err
        return printed.out

    return ran


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


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command that must be refused, and return its one line."""

    monkeypatch.setattr("toposheet.progress.FIRST_LINE_SECONDS", 3600.0)  # slow machines say nothing else

    def refused(*arguments: object) -> str:
        capsys.readouterr()  # bars of what was saved for it
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        assert stop.value.code == 2
        errors = capsys.readouterr().err
        assert errors.startswith("toposheet: ")
        assert errors.count("\n") == 1, errors
        assert "─" not in errors
        return errors

    return refused


@pytest.fixture
def folder(tmp_path: Path, subject: Subject) -> Path:
    """A tiny model as a folder, called `model`."""
    save(tmp_path / "model", subject)
    return tmp_path / "model"


@pytest.fixture
def table(tmp_path: Path, stimuli: pd.DataFrame) -> Path:
    """The stimuli as a CSV file: `long` and `short` texts."""
    stimuli.to_csv(tmp_path / "stimuli.csv", index=False)
    return tmp_path / "stimuli.csv"


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Ten texts of each of the conditions S, N, W and J in a CSV file, short enough for a tiny model."""
    words = ["river", "mill", "bridge", "winter", "stone", "child", "letter", "bread", "road", "city"]
    rows = [
        f"{words[i]} {'the' if c in 'SW' else 'zog'} {words[-i]}{'s' * (c in 'SJ')},{c}"
        for c in "SNWJ"
        for i in range(10)
    ]
    (tmp_path / "sentences.csv").write_text("\n".join(["text,condition", *rows]) + "\n")
    return tmp_path / "sentences.csv"


@pytest.fixture
def without(monkeypatch):
    """Let packages be missing."""

    def without(*packages):
        find = importlib.util.find_spec
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in packages else find(name))

    return without
