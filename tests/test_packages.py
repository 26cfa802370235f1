import sys
from pathlib import Path

import pytest

from toposheet.errors import NotFound
from toposheet.packages import check_package, import_package, package_folder

MISSING = r"^pictures need the package no_such_package: pip install 'toposheet\[pictures\]'$"
FOR_PICTURES = ("pictures need", "toposheet[pictures]")


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.part"])
def test_a_missing_package_is_named_with_what_installs_it(module):
    with pytest.raises(NotFound, match=MISSING):
        import_package(module, *FOR_PICTURES)


def test_a_package_is_checked_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "some_package").mkdir()
    (tmp_path / "some_package" / "__init__.py").write_text("raise ImportError('is never imported')")
    monkeypatch.syspath_prepend(tmp_path)
    check_package("some_package", *FOR_PICTURES)
    assert package_folder("some_package", *FOR_PICTURES) == Path(tmp_path / "some_package")
    assert "some_package" not in sys.modules
    with pytest.raises(NotFound, match=MISSING):
        check_package("no_such_package", *FOR_PICTURES)


def test_a_package_can_have_another_name_in_the_index():
    with pytest.raises(NotFound, match="the package its-name: pip"):
        package_folder("no_such_package", *FOR_PICTURES, package="its-name")


def test_a_module_of_a_package_is_imported():
    assert import_package("json.decoder", *FOR_PICTURES) is sys.modules["json.decoder"]
