import pandas as pd
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from toposheet import Subject, Topography
from toposheet.report import StudiedModel, compute
from toposheet.settings import Settings
from toposheet.stimuli.contrasts import Contrast
from toposheet.stimuli.studies import Battery, Study

WORDS = ["river", "mill", "bridge", "winter", "stone", "child", "letter", "bread", "road", "city"]
SETTINGS = Settings(permutations=3, min_size=2)


@pytest.fixture(scope="session")
def battery():
    """Two studies: one locates a language network and is compared, the other measures how the network responds."""

    def texts(conditions, ending):
        rows = [
            (f"{WORDS[i]} {'the' if c in 'SW' else 'zog'} {WORDS[-i]}{'s' * (c in 'SJ')}{ending}", c)
            for c in conditions
            for i in range(10)
        ]
        return pd.DataFrame(rows, columns=["text", "condition"])

    localizer = Study("localizer", texts("SN", ""), (Contrast("S", "N"),))
    return Battery("mine", (localizer, Study("profile", texts("SWJN", " snow"), ())), "localizer", "profile")


@pytest.fixture(scope="session")
def subjects(tokenizer):
    """Two tiny models that lie in no folder, by what tables call them."""

    def subject(seed):
        torch.manual_seed(seed)
        config = GPT2Config(
            vocab_size=300, n_positions=48, n_embd=36, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        model = GPT2LMHeadModel(config).eval()
        return Subject(model, Topography.per_tap(model, seed=seed), tokenizer)

    return {"007": subject(0), "<b>": subject(1)}


@pytest.fixture(scope="session")
def told():
    """What `results` told of its progress: (what, done, total)."""
    return []


@pytest.fixture(scope="session")
def models(subjects):
    """The two as models of a report."""
    return [StudiedModel(name, subject) for name, subject in subjects.items()]


@pytest.fixture(scope="session")
def results(models, battery, told):
    """What a report of the two models computes."""
    return compute(models, battery, settings=SETTINGS, progress=lambda *arguments: told.append(arguments)).results
