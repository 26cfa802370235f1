import sys

import pytest

from toposheet.errors import UserError
from toposheet.registry import Registry


@pytest.fixture
def colours(tmp_path, monkeypatch):
    """A registry whose package has two entries, one of which cannot be imported."""
    package = tmp_path / "some_colours"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "red.py").write_text("COLOUR = '#f00'\n")
    (package / "broken.py").write_text("import there_is_no_such_module\n")
    (package / "_shared.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry[str]("some_colours", "COLOUR", "colour")
    for name in [name for name in sys.modules if name.startswith("some_colours")]:
        del sys.modules[name]


def test_names_are_listed_without_importing_the_files(colours):
    assert colours.names() == ["broken", "red"]
    assert "some_colours.red" not in sys.modules


def test_an_entry_is_imported_when_it_is_asked_for_and_a_broken_one_hides_no_other(colours):
    assert colours["red"] == "#f00"
    with pytest.raises(ModuleNotFoundError, match="there_is_no_such_module"):
        colours["broken"]


def test_an_entry_from_outside_stands_beside_the_others(colours):
    colours.register("teal", "#088")
    assert colours["teal"] == "#088"
    assert list(colours) == ["broken", "red", "teal"]
    with pytest.raises(UserError, match="a colour 'red' already"):
        colours.register("red", "#e00")


def test_a_wrong_name_gets_the_nearest_and_all_there_are(colours):
    with pytest.raises(UserError, match=r"no colour 'read'\. Did you mean red\? There are: broken, red"):
        colours["read"]
