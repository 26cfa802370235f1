"""The table of families in README says what is found when each family is tried."""

import pytest
from tests.architectures.supported import (
    MODELS,
    README,
    documented,
    prepared_text,
    rows,
    tokenizer_of_tests,
    tried,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:transformers")


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_of_tests()


@pytest.fixture(scope="module")
def text(tokenizer, tmp_path_factory):
    return prepared_text(tmp_path_factory.mktemp("families"), tokenizer)


QUICK = ("GPT-2", "BERT", "*weights in 8 bits*")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in MODELS]
)
def test_what_is_found_for_a_model_stands_in_the_table(name, tokenizer, text, tmp_path):
    assert tried(name, tmp_path, tokenizer, text) == documented(README.read_text())[name]


def test_the_table_has_exactly_the_models_that_are_tried():
    table = documented(README.read_text())
    assert set(table) == set(MODELS)
    assert all(line in README.read_text() for line in rows({name: table[name] for name in MODELS}))
