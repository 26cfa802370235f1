import sys

import pytest

from toposheet.errors import UserError
from toposheet.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two entries, one of which cannot be imported."""
    package = tmp_path / "some_colours"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "red.py").write_text("COLOUR = '#f00'\n")
    (package / "broken.py").write_text("import there_is_no_such_module\n")
    (package / "_shared.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.startswith("some_colours")]:
        del sys.modules[name]


@pytest.fixture
def colours(package):
    return Registry[str]("some_colours", "COLOUR", "colour")


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
    with pytest.raises(UserError, match="already a colour 'red'"):
        colours.register("red", "#e00")


def test_a_wrong_name_gets_the_nearest_and_all_there_are(colours):
    with pytest.raises(UserError, match=r"no colour 'read'\. Did you mean red\? Choose from: broken, red"):
        colours["read"]


def test_what_else_a_user_can_do_is_said(package):
    colours = Registry[str]("some_colours", "COLOUR", "colour", otherwise="give a number")
    with pytest.raises(UserError, match=r"Choose from: broken, red; or give a number$"):
        colours["blue"]


def test_an_underscore_of_a_file_can_be_a_hyphen_of_its_entry(package):
    (package / "dark_blue.py").write_text("COLOUR = '#008'\n")
    colours = Registry[str]("some_colours", "COLOUR", "colour", hyphens=True)
    assert colours.names() == ["broken", "dark-blue", "red"]
    assert colours["dark-blue"] == "#008"
    assert "dark_blue" not in colours
    assert Registry[str]("some_colours", "COLOUR", "colour")["dark_blue"] == "#008"


def test_entries_from_outside_are_told_from_the_others(colours):
    colours.register("teal", "#088")
    assert colours.registered == {"teal": "#088"}
    colours.adopt({"teal": "#0ff", "pink": "#f8f"})  # as another process would
    assert colours.registered == {"teal": "#088", "pink": "#f8f"}
    colours.unregister("pink")
    colours.unregister("teal")
    assert colours.registered == {}
    assert "teal" not in colours


def test_an_entry_of_another_kind_and_a_name_that_is_none_are_refused(package):
    colours = Registry[str]("some_colours", "COLOUR", "colour", entry="builtins:str")
    colours.register("teal", "#088")
    with pytest.raises(UserError, match="a colour must be a str, but 'odd' is an int: see CONTRIBUTING"):
        colours.register("odd", 3)  # pyright: ignore[reportArgumentType]
    for name in ("", " ", 3, None):
        with pytest.raises(UserError, match=r"the name of a colour is .*: it must be a word"):
            colours.register(name, "#000")  # pyright: ignore[reportArgumentType]
    assert colours.registered == {"teal": "#088"}
