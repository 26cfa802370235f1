"""Where a model lies, and which group it is in."""

import re

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


@pytest.mark.parametrize("other", ["./a", "b/../a", "link", "ABSOLUTE", "~/a"])
@pytest.mark.parametrize("group", ["", "g="])
def test_one_folder_is_one_model_however_its_path_is_written(tmp_path, monkeypatch, group, other):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("a")
    other = other.replace("ABSOLUTE", str(tmp_path / "a"))
    with pytest.raises(UserError, match=f"^a and {re.escape(other)} are the same folder: give each model once$"):
        groups_and_models([f"{group}a", f"{group}b", f"{group}{other}"])
    assert len(groups_and_models(["g=a", "h=a", f"{group}b"])) == 3


def test_a_shipped_model_and_its_folder_are_one_model():
    with pytest.raises(UserError, match="are the same folder"):
        groups_and_models(["small", str(SHIPPED / "small")])
    assert len(groups_and_models(["small", "small-control", "organisation/name", "organisation/other"])) == 4
