"""Where a model lies, and which group it is in."""

import pytest

from toposheet.errors import NotFound, UserError
from toposheet.model_folders import SHIPPED, folder_on_disk, groups_and_models


def test_a_folder_comes_before_a_shipped_model_and_a_shipped_model_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert folder_on_disk("small") == SHIPPED / "small"
    (tmp_path / "small").mkdir()
    assert folder_on_disk("small").resolve() == tmp_path / "small"
    assert folder_on_disk("organisation/name") is None
    with pytest.raises(NotFound, match="nowhere does not exist"):
        folder_on_disk("nowhere")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=small", ("a", "small")),
        ("small", ("", "small")),
        ("g=runs/lr=0.1", ("g", "runs/lr=0.1")),
        ("runs/lr=0.1", ("", "runs/lr=0.1")),
        ("lr=0.1=runs/lr=0.1", ("lr=0.1", "runs/lr=0.1")),
        ("g=organisation/name", ("g", "organisation/name")),
    ],
)
def test_a_group_stands_before_the_model_also_where_folders_have_equals_signs(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "lr=0.1").mkdir(parents=True)
    assert groups_and_models([text]) == [expected]


@pytest.mark.parametrize("text", ["a=", "=small", "="])
def test_a_group_without_a_model_is_refused(text):
    with pytest.raises(UserError, match="no group or no model"):
        groups_and_models([text])
