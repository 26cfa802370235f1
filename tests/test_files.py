"""Paths as the user means them, and names of files that stay apart on every file system."""

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import toposheet as ts
from toposheet.cache import cache_folder
from toposheet.errors import NotFound, UserError
from toposheet.files import folder_aside, free_file_name, path_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_and_only_at_the_beginning(home):
    assert path_of("~/x") == path_of(Path("~/x")) == home / "x"
    assert path_of("~") == home
    assert path_of("a/~/x") == Path("a/~/x")
    assert path_of("x~") == Path("x~")


def test_paths_that_cannot_be_meant_are_refused():
    with pytest.raises(UserError, match="a path is empty"):
        path_of(" ")
    with pytest.raises(
        UserError, match="~nobody-of-this-name/x cannot be found, because this home folder is not known"
    ):
        path_of("~nobody-of-this-name/x")


def test_functions_in_python_read_and_write_in_the_home_folder(home, subject):
    ts.save("~/model", subject)
    assert (home / "model" / "config.json").is_file()
    assert ts.load("~/model").name == "model"
    (home / "t.csv").write_text("text,condition\na,x\n")
    assert ts.read_stimuli("~/t.csv")["text"].tolist() == ["a"]
    ts.respond(subject, ts.read_stimuli("~/t.csv"), cache="~/cache")
    assert list((home / "cache").glob("*.npy"))
    for read in (ts.load_localizer, ts.read_surface_map):
        with pytest.raises(NotFound, match=str(home)):
            read("~/nothing.nc")
    assert not (Path.cwd() / "~").exists()


COMMANDS = [
    ["map", "small", "--stimuli", "~/t.csv", "--contrast", "a:x"],
    ["report", "small", "--stimuli", "~/t.csv", "--contrast", "a:x"],
    ["compare", "small", "--stimuli", "~/t.csv", "--contrast", "a:x"],
    ["localize", "small", "--stimuli", "~/t.csv", "--contrast", "a:x"],
    ["brain", "export", "small", "--stimuli", "~/t.csv", "--contrast", "a:x"],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_finds_files_of_the_home_folder_and_makes_none_called_tilde(refused, home, command):
    (home / "t.csv").write_text("text,condition\na,x\n")
    assert "t.csv: the contrast 'a:x' names 'a'" in refused(*command, "--out=~/o")
    (home / "o").write_text("a file")
    assert f"cannot write to {home}/o" in refused(*command, "--out=~/o")
    assert not (Path.cwd() / "~").exists()


@pytest.mark.parametrize(
    "command",
    [["map", "~/m", "--stimuli", "s.csv", "--contrast", "a:b"], ["localize", "~/m"], ["ledger", "~/m"],
     ["report", "~/m"], ["compare", "g=~/m"], ["brain", "export", "~/m"]],
)  # fmt: skip
def test_a_model_may_lie_in_the_home_folder(refused, home, command):
    Path("s.csv").write_text(
        "text,condition\n" + "".join(f"{t},{c}\n" for t, c in zip("abcdef", "aaabbb", strict=True))
    )
    (home / "m").mkdir()
    assert "m is not a model folder: it has no config.json" in refused(*command, "--out", "o")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["map", "", "--out", "o"], "argument 2"),
        (["map", "small", "--out", ""], "--out"),
        (["map", "small", "--out="], "--out"),
        (["localize", "small", "--stimuli", " "], "--stimuli"),
        (["train", ""], "argument 2"),
        (["data", "prepare", "", "--out", "o"], "argument 3"),
    ],
)
def test_an_empty_argument_is_refused(refused, arguments, what):
    assert f"{what} is empty: write a value" in refused(*arguments)


def test_without_a_home_folder_nothing_is_kept(monkeypatch, tmp_path):
    for name in ("TOPOSHEET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", staticmethod(no_home))
    assert cache_folder() is None
    monkeypatch.setenv("TOPOSHEET_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_files_are_utf_8_in_any_locale(tmp_path):
    code = (
        "import toposheet as ts, pathlib, sys\n"
        "from toposheet.text.documents import cards\n"
        f"print(ascii(cards({str(tmp_path)!r}, None)[0]['name']))"
    )
    (tmp_path / "corpora.json").write_text('[{"name": "Büchner"}]', encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == "'B\\xfcchner'\n", done.stderr


def names_of(*names):
    taken = set()
    return [free_file_name(name, taken) for name in names]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["A+", "A*"], ["A", "A-2"]),
        (["a.b", "A b", "a-b-2", "a/b"], ["a-b", "A-b-2", "a-b-2-2", "a-b-3"]),
        (["con", "NUL", "com1", "console"], ["con-2", "NUL-2", "com1-2", "console"]),
        (["", "..", "../..", "/"], ["unnamed", "unnamed-2", "unnamed-3", "unnamed-4"]),
        (["0", "007", "-0", "nan"], ["0", "007", "0-2", "nan"]),
        ([" lead", "a,b", 'a"b'], ["lead", "a-b", "a-b-2"]),
        (["über", "名詞"], ["über", "名詞"]),
    ],
)
def test_a_name_keeps_its_letters_and_differs_from_those_that_are_taken(names, expected):
    assert names_of(*names) == expected


def test_names_that_disks_do_not_tell_apart_are_numbered():
    composed = unicodedata.normalize("NFC", "é")
    decomposed = unicodedata.normalize("NFD", "é")
    assert len(set(names_of(composed, decomposed, "É"))) == 3
    first, second = names_of("STRASSE", "straße")
    assert first.casefold() != second.casefold()


@pytest.mark.parametrize("letter", ["x", "名", "\U0001d54f"])
def test_names_alike_in_their_first_letters_are_short_and_differ(letter):
    first, second = names_of(300 * letter + "1", 300 * letter + "2")
    assert first != second
    assert max(len(name.encode()) for name in (first, second)) <= 110


def test_files_of_a_folder_aside_come_together_and_what_they_replace_goes(tmp_path):
    for name in ("figures/old.png", "figures/kept.png", "old.csv", "facts.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("earlier")

    def write():
        with folder_aside(tmp_path, last="facts.json", replaces=["old.csv", "figures/old.png", "never.csv"]) as aside:
            (aside / "figures").mkdir()
            for name in ("figures/new.png", "facts.json"):
                (aside / name).write_text("new")
            yield

    def files():
        return {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.[pcj]*")}

    before = files()
    writing = write()
    next(writing)
    with pytest.raises(KeyboardInterrupt):
        writing.throw(KeyboardInterrupt())
    assert files() == before
    list(write())
    assert files() == {"figures/kept.png": "earlier", "figures/new.png": "new", "facts.json": "new"}
    assert not list(tmp_path.glob(".writing*"))


def test_a_folder_that_was_to_be_made_is_not_left_empty(tmp_path):
    def fail(folder):
        with folder_aside(folder) as aside:
            (aside / "half").write_text("written")
            raise ZeroDivisionError

    (tmp_path / "old").mkdir()
    for folder in (tmp_path / "new", tmp_path / "old"):
        with pytest.raises(ZeroDivisionError):
            fail(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
