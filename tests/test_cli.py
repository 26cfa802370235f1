import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import toposheet as ts
from toposheet.cli import _parse, main
from toposheet.commands import COMMANDS, Command
from toposheet.commands._command import deferred
from toposheet.errors import NotFound, RunError, UserError

NAMES = (
    "demo, data, train, adapt, import, stimuli, map, localize, encode, evaluate, finetune, lesion, stimulate, "
    "searchlight, dose, report, ledger, compare, brain"
)


def toposheet(*arguments, cwd=None):
    return subprocess.run(
        [sys.executable, "-m", "toposheet", *map(str, arguments)], capture_output=True, text=True, cwd=cwd
    )


def test_help_needs_nothing_heavy():
    code = (
        "import sys\nfrom toposheet.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pandas', 'xarray', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


def test_help_of_train_lists_the_fields_of_the_recipe():
    done = toposheet("train", "tiny", "--help")
    assert done.returncode == 0
    for option in ("--updates", "--alpha", "--radius", "--data", "--out", "default: 20"):
        assert option in done.stdout


@pytest.mark.parametrize("command", [["map"], ["report"], ["compare"], ["localize"], ["stimuli", "check"]])
def test_help_groups_the_options_about_stimuli(ran, command):
    printed = ran(*command, "--help")
    assert "stimulus options" in printed.partition("How stimuli are read.")[0]
    assert "options options" not in printed


@pytest.mark.parametrize("command", ["map", "report", "ledger", "compare"])
def test_the_size_of_an_analysis_decides_the_number_of_draws_unless_one_is_asked_for(ran, command):
    printed = re.search(r"--permutations \{None\}\|INT\s.*?\(default:[ │\n]*None\)", ran(command, "--help"), re.DOTALL)
    assert printed
    assert "999 if the" in printed.group()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["nonsense"],
            [
                "Unrecognized",
                "nonsense",
                NAMES,
            ],
        ),
        (
            [],
            [NAMES],
        ),
        (["demo", "--outt", "x"], ["--outt", "did you mean --out?"]),
        (["demo", "--permutations", "many"], ["--permutations", "many"]),
        (["demo", "--recipe", "dem"], ["no recipe 'dem'", "Did you mean demo?", "demo, fast", "tiny"]),
        (["train"], ["needs a recipe", "demo,fast", "tiny"]),
        (["train", "demoo"], ["no recipe 'demoo'", "Did you mean demo?"]),
        (["train", "tiny", "--updats", "3"], ["--updats", "did you mean --updates?"]),
        (["train", "tiny", "--updates", "0"], ["--updates is 0", "at least 1"]),
        (["train", "tiny", "--betas", "2", "2"], ["--betas is (2.0, 2.0)"]),
        (["train", "tiny", "--seed", "-1"], ["--seed is -1"]),
        (["train", "tiny", "--sheet-shape", "0", "5"], ["--sheet-shape is (0, 5)"]),
        (["demo", "--recipe", "tiny", "--permutations", "1"], ["--permutations is 1"]),
        (["train", "tiny", "--metric", "manhattan"], ["--metric", "chebyshev"]),
        (["train", "tiny", "--radius", "-1"], ["--radius is -1", "at least 1"]),
        (["train", "tiny", "--objective", "moran"], ["no objective 'moran'", "shuffled_correlation", "topoloss"]),
        (["train", "tiny", "--mechanism", "topo"], ["--mechanism", "topoformer"]),
        (["train", "tiny", "--mechanism", "topoformer"], ["--mechanism is 'topoformer'", "radius is None: give both"]),
        (["train", "topoformer", "--heads", "2"], ["--heads is 2", "set heads to 1"]),
        (["train", "topoformer", "--mechanism-radius", "0"], ["--mechanism-radius is 0", "at least 1"]),
        (["train", "topoformer", "--architecture", "qwen3"], ["rotated or normed", "use the architecture gpt2"]),
        (["train", "topoformer", "--taps", "transformer.h.*.mlp"], ["transformer.h.0.attn", "is not a tap"]),
        (["train", "tiny", "--neighborhoods", "0"], ["--neighborhoods is 0", "'all'"]),
        (["train", "tiny", "--max-samples", "1"], ["--max-samples is 1"]),
        (["train", "tiny", "--alpha-schedule", "linear"], ["need a final_alpha"]),
        (["train", "tiny", "--alpha", "inf"], ["--alpha is inf"]),
        (["train", "tiny", "--width", "38"], ["38 units do not fill a square sheet", "--sheet-shape 6 7"]),
        (["train", "tiny", "--sheet-shape", "5", "5"], ["5x5 sheet has 25 cells", "36 units"]),
        (["train", "tiny", "--taps", "model.layers.*"], ["'model.layers.*' matches no module", "transformer.h.*.attn"]),
        (
            ["adapt", "small", "--data", "x", "--out", "y", "--mode", "place", "--updates", "9"],
            ["--updates belongs to a training, and the mode place has none"],
        ),
        (
            ["adapt", "small", "--data", "x", "--out", "y", "--validation-fraction", "0.1"],
            ["--validation-fraction would change nothing"],
        ),
        (["train", "tiny", "--data", "nowhere"], ["nowhere holds no prepared text"]),
        (["import"], ["topolm, nanogpt, grid"]),
        (["import", "topolm", "nowhere.pt"], ["Missing", "--positions", "--tap"]),
        (
            ["import", "topolm", "x.pt", "--positions", "p", "--tap", "residual", "--out", "o"],
            ["--tap is 'residual': it must be one of after-residual, before-residual"],
        ),
        (["import", "nanogpt", "nowhere.pt", "--out", "o"], ["there is no file nowhere.pt"]),
        (["data"], ["prepare"]),
        (["data", "prepar"], ["Unrecognized", "prepar", "available subcommands: prepare"]),
        (["data", "prepare", "builtin"], ["Missing", "--out"]),
        (["data", "prepare", "--out", "o"], ["no source is given", "builtin, fineweb-edu"]),
        (["data", "prepare", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["data", "prepare", "builtin", "--out", "o", "--executor", "spark"], ["--executor", "local, ray, slurm"]),
        (["data", "prepare", "builtin", "--out", "o", "--tokenizer", "./x"], ["./x is not a folder"]),
        (["data", "prepare", "builtin", "--out", "o", "--vocabulary", "9"], ["--vocabulary is 9"]),
        (["data", "prepare", "builtin", "--out", "o", "--workers", "0"], ["--workers is 0"]),
        (["data", "prepare", "builtin", "--out", "o", "--executor", "slurm"], ["--slurm-partition NAME"]),
        (["map"], ["Missing", "MODEL", "--stimuli"]),
        (["report", "nowhere", "--out", "o"], ["nowhere does not exist", "small, small-control"]),
        (
            ["report", "small", "--contrast", "a:b"],
            ["--contrast is only for a CSV file or a set: synthetic"],
        ),
        (["report", "small", "--stimuli", "mine.csv", "--contrast", "a:b"], ["there is no stimulus file mine.csv"]),
        (
            ["report", "small", "--stimuli", "nouns"],
            ["no stimulus set 'nouns'. Choose from: fedorenko2010,", "or give a CSV"],
        ),
        (
            ["report", "small", "--stimuli", "published", "--data", "d"],
            ["langloc_fmri_run1", "not in d, d/stimuli", "--data"],
        ),
        (["localize", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["localize", "small", "--percent", "0", "--out", "o"], ["--percent is 0"]),
        (
            ["localize", "small", "--percent", "1e-4", "--out", "o"],
            ["--percent is 0.0001: this selects none of 2,560 units"],
        ),
        (
            ["ledger", "small", "--pairs", "p.csv"],
            ["--pairs can only be used with --stimuli published, not with --stimuli synthetic"],
        ),
        (["report", "small", "--where", "a=b"], ["--where is only for a CSV file or a set"]),
        (["report", "small", "--forming-p", "1"], ["--forming-p is 1.0: it must be larger than 0 and smaller than 1"]),
        (
            ["localize", "small", "--min-size", "0", "--out", "o"],
            ["--min-size is 0: it must be a whole number of at least 1 unit"],
        ),
        (["report", "small", "--seed", "-1"], ["--seed is -1: it must be a whole number of at least 0"]),
        (["report", "small", "--permutations=0"], ["--permutations is 0: it must be a whole number of at least 2"]),
        (
            ["map", "small", "--stimuli", "swjn", "--contrast", "S:N", "--fwhm-mm", "-1", "--out", "o"],
            ["--fwhm-mm is -1.0"],
        ),
        (["localize", "small", "--percent", "3", "--q", "0.1", "--out", "o"], ["--percent is 3 and --q is 0.1: give"]),
        (["ledger", "small", "--seed", "-1"], ["--seed is -1"]),
        (["compare", "small", "--seed", "-1", "--out", "o"], ["--seed is -1"]),
        (["ledger", "small", "--stimuli", "mine.csv"], ["--stimuli", "published, synthetic"]),
        (
            ["localize", "small", "--contrast", "noun:adverb", "--out", "o"],
            ["stimuli.csv: the contrast", "conditions are: sentence, nonword, noun, verb"],
        ),
        (
            ["compare", "small", "--margin", "-0.1", "--out", "o"],
            ["--margin is -0.1: it must be a finite number above 0"],
        ),
        (
            ["compare", "t=small", "t=small-control", "small-control", "--margin", "0.1", "--out", "o"],
            ["--margin needs at least 2 models in each group", "there is 1 of small-control", "leave --margin out"],
        ),
        (["compare", "small", "--margin", "0", "--out", "o"], ["--margin is 0: it must be a finite number above 0"]),
        (
            ["compare", "small", "--margin", "nan", "--out", "o"],
            ["--margin is nan: it must be a finite number above 0"],
        ),
        (
            ["compare", "small", "--margin", "inf", "--out", "o"],
            ["--margin is inf: it must be a finite number above 0"],
        ),
        (["compare", "--out", "o"], ["nothing to compare"]),
        (["compare", "small", "small", "--out", "o"], ["the model small is given twice"]),
        (["compare", "a=", "--out", "o"], ["'a=' has no group or no model"]),
        (["ledger", "nowhere", "--out", "o"], ["nowhere does not exist"]),
        (["ledger", ".", "--out", "o"], [". is not a model folder: it has no config.json"]),
        (
            ["stimuli", "build", "language", "--per-condition", "0", "--out", "w.csv"],
            ["--per-condition is 0", "at least 3"],
        ),
        (["stimuli", "build", "language", "--seed", "-1", "--out", "w.csv"], ["--seed is -1"]),
        (["stimuli", "build", "words", "--out", "."], ["--out is ., a folder: give the path of a CSV file"]),
        (["stimuli", "check", "."], [". is a folder: give a CSV file"]),
        (["stimuli", "show", "words", "--texts", "-1"], ["--texts is -1"]),
        (["stimuli", "show", "nouns"], ["no stimulus set 'nouns'. Choose from: fedorenko2010, "]),
        (["stimuli", "build", "words"], ["Missing", "--out"]),
        (["stimuli", "check", "mine.csv"], ["there is no stimulus file mine.csv"]),
        (["brain", "moran", "map.gii"], ["there is no file map.gii"]),
        (["localize", "small", "--out", "o", "--draws", "9"], ["no option --draws"]),
        (
            ["localize", "small", "--permutations", "9", "--out", "o"],
            ["localize has no option --permutations: toposheet localize --help lists its options"],
        ),
        (["train", "tiny", "--alfa", "3"], ["there is no option --alfa: see --help"]),
        (["brain", "moran", "map.gii", "--seed", "-1"], ["--seed is -1"]),
        (["brain", "moran", "map.gii", "--figure", "map.jpg"], ["--figure is map.jpg", ".png, .pdf or .svg"]),
        (["brain", "export", "small", "--out", "o", "--contrast", "noun:noun"], ["conditions are: sentence, nonword,"]),
        (["brain", "moran"], ["Missing", "MAP"]),
    ],
)
def test_wrong_arguments_get_one_line_and_leave_nothing(refused, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    line = refused(*arguments)
    assert all(word in line for word in words), line
    assert not [path for path in tmp_path.rglob("*.safetensors")]


@pytest.fixture
def raising():
    """A command that raises what it is given, however an exception comes about."""
    raised = []

    @deferred
    def stumble() -> None:
        """Raise something."""
        raised[0]()

    COMMANDS.register("stumble", Command(position=900, parser=stumble))
    yield raised.append
    COMMANDS.unregister("stumble")


def throw(error):
    def thrown():
        raise error

    return thrown


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("name\na model"), 2),
        (NotFound("there is no model"), 2),
        (FileNotFoundError(2, "No such file or directory", "/nowhere"), 2),
        (PermissionError(13, "Permission denied", "/root/x"), 2),
        (RunError("the loss is not finite"), 1),
        (OSError(28, "No space left on device"), 1),
        (OSError(28, "No space left on device", "/disk/file"), 1),
        (OSError(122, "Disk quota exceeded"), 1),
        (BrokenPipeError(32, "Broken pipe"), 1),
    ],
    ids=repr,
)
def test_what_the_user_or_the_machine_did_is_one_line_and_its_exit_code(capsys, raising, error, code):
    raising(throw(error))
    with pytest.raises(SystemExit) as stop:
        main(["stumble"])
    assert stop.value.code == code
    assert capsys.readouterr().err == f"toposheet: {' '.join(str(error).split())}\n"


@pytest.mark.parametrize(
    "fault",
    [
        throw(ValueError("of ours")),
        throw(FloatingPointError("of ours")),
        throw(KeyError("of ours")),
        throw(OSError("no system said this")),
        lambda: list(zip([1], [1, 2], strict=True)),
        lambda: np.zeros(3).reshape(2, 2),
        lambda: torch.zeros(3).view(2, 2),
        lambda: int("seven"),
    ],
)
def test_a_fault_of_ours_keeps_its_traceback(raising, fault):
    raising(fault)
    with pytest.raises((ValueError, FloatingPointError, KeyError, OSError, RuntimeError)) as caught:
        main(["stumble"])
    assert not isinstance(caught.value, UserError | RunError)


def test_a_fault_of_ours_exits_with_1_and_its_traceback():
    code = (
        "from toposheet.cli import main\nfrom toposheet.commands import COMMANDS, Command\n"
        "from toposheet.commands._command import deferred\n"
        "def stumble() -> None:\n    list(zip([1], [1, 2], strict=True))\n"
        "COMMANDS.register('stumble', Command(position=900, parser=deferred(stumble)))\nmain(['stumble'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: zip() argument 2 is longer than argument 1" in done.stderr


def test_the_second_process_of_torchrun_says_which_it_is(capsys, raising, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    waited = []
    monkeypatch.setattr("toposheet.cli.time.sleep", waited.append)
    raising(throw(UserError("no")))
    with pytest.raises(SystemExit):
        main(["stumble"])
    assert capsys.readouterr().err == "toposheet (process 1): no\n"
    assert waited == [3]


def test_the_version_is_printed(ran):
    assert ran("--version") == f"toposheet {ts.__version__}\n"


@pytest.mark.parametrize("command", [["map"], ["report"], ["compare"], ["localize"], ["brain", "export"]])
def test_an_out_that_is_a_file_or_in_one_is_refused_and_kept(refused, tmp_path, folder, table, command):
    (tmp_path / "out").write_text("mine")
    arguments = [*command, folder, "--stimuli", table, "--contrast", "long:short"]
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        assert "Not a directory" in refused(*arguments, "--out", out)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("command", [["map"], ["report"], ["compare"], ["localize"], ["brain", "export"]])
@pytest.mark.parametrize("what", ["no tokenizer", "nan weights", "a long text"])
def test_what_a_model_cannot_read_or_answer_is_refused_and_nothing_is_written(
    refused, tmp_path, model, topo, tokenizer, sentences, command, what
):
    if what == "nan weights":
        model.transformer.h[1].mlp.c_proj.weight.data[3, 5] = float("nan")
    tokenizer_or_none = None if what == "no tokenizer" else tokenizer
    ts.save(tmp_path / "model", ts.Subject(model, topo, tokenizer_or_none))
    if what == "a long text":
        with sentences.open("a") as file:
            file.write(f"{'river ' * 60},S\n")
    arguments = ["--stimuli", sentences, "--contrast", "S:N", "--out", tmp_path / "out"]
    line = refused(*command, tmp_path / "model", *arguments)
    words = {
        "no tokenizer": f"{tmp_path / 'model'} has no tokenizer",
        "nan weights": "row 2: a response in transformer.h.1.mlp is not finite",
        "a long text": "sentences.csv, row 42 has 180 tokens, but the model reads at most 48",
    }
    assert words[what] in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["map", "small", "--stimuli", "{}", "--contrast", "long:brief", "--out", "o"],
        ["report", "small", "--stimuli", "{}", "--contrast", "long:short", "--confounds", "lenght", "--out", "o"],
        ["compare", "small", "--stimuli", "{}", "--contrast", "long:brief", "--out", "o"],
        ["localize", "small", "--stimuli", "{}", "--out", "o"],
        ["localize", "small", "--percent", "10", "--q", "0.01", "--out", "o"],
        ["brain", "export", "small", "--stimuli", "{}", "--contrast", "long:brief", "--out", "o"],
        ["report", "small", "--stimuli", "sythetic", "--out", "o"],
        ["map", "small", "--stimuli", "words", "--contrast", "noun:vreb", "--out", "o"],
    ],
)
def test_what_is_cheap_to_refuse_is_refused_before_a_model_is_opened(tmp_path, table, arguments):
    arguments = [argument.format(table) for argument in arguments]
    code = (
        f"import sys\nfrom toposheet.cli import main\ntry: main({arguments!r})\n"
        "except SystemExit as stop: assert stop.code == 2, stop.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["mapp", "small"], "Unrecognized command 'mapp'. Did you mean map?"),
        (["stimuli", "chek", "x"], "Unrecognized command 'chek'. Did you mean check?"),
        (["report", "small", "--permutations", "abc"], "--permutations is 'abc': it must be None or a whole number"),
        (["train", "demo", "--alpha", "abc"], "--alpha is 'abc': it must be a number"),
        (["localize", "small", "--percent", "x", "--out", "o"], "--percent is 'x': it must be None or a number"),
        (["report", "small", "--inference", "tcfe"], "--inference is 'tcfe': it must be one of mass, tfce. Did"),
        (["map", "small", "--out"], "--out has no value"),
        (["adapt", "small", "--data", "x", "--out", "y", "--sheet-shape", "8"], "it must be None or two whole numbers"),
        (["adapt", "small", "--data", "x", "--out", "y", "--betas", "0.9"], "--betas has too few values: write 2"),
        (["adapt", "small", "--data", "x", "--out", "y", "--twin", "no"], "no belongs to no option"),
        (
            ["adapt", "small", "--data", "x", "--out", "y", "--nulls", "None"],
            "must be one of by-mode, random-weights, shuffled-distances.",
        ),
        (
            ["adapt", "small", "--data", "x", "--out", "y", "--mode", "place", "--no-twin"],
            "--no-twin belongs to a training, and the mode place has none",
        ),
        (["report", "small", "--stimuli", "sythetic"], "Did you mean synthetic? Choose from: fedorenko2010"),
        (
            ["stimuli", "show", "mine.csv"],
            "is a file, not the name of a set: read a file with toposheet stimuli check mine.csv",
        ),
        (["stimuli", "build", "mine.csv", "--out", "o.csv"], "is a file, not the name of a set"),
        (
            ["stimuli", "build", "words", "--per-condition", "9", "--out", "o.csv"],
            "the set words has a fixed number of texts",
        ),
    ],
)
def test_a_slip_gets_a_line_that_says_what_was_meant(refused, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    assert line in refused(*arguments)


def test_the_helps_say_what_is_needed_and_whose_defaults_they_show(ran):
    assert "--version" in ran("--help")
    assert "RECIPE" in ran("train", "--help").splitlines()[0]
    assert "The defaults are from the recipe demo." in " ".join(ran("train", "--help").split())
    assert "The defaults are from the recipe paper." in " ".join(ran("train", "paper", "--help").split())
    assert "[GROUP=]MODEL" in ran("compare", "--help").splitlines()[0]
    assert "(default: )" not in ran("data", "prepare", "--help")
    for command in ("map", "report", "ledger", "compare"):
        printed = ran(command, "--help")
        assert "settings.reading" not in printed
        assert "reading options" in printed


@pytest.mark.parametrize(
    ("arguments", "option", "value"),
    [
        (["report", "0", "--control", "None"], "control", "None"),
        (["localize", "None", "--out", "o", "--stimuli", "None"], "stimuli", "None"),
        (["stimuli", "check", "s.csv", "--model", "None"], "model", "None"),
        (["report", "0", "--pairs", "None"], "pairs", Path("None")),
        (["report", "0"], "control", None),
    ],
)
def test_a_name_or_path_that_reads_none_is_a_name_or_path(arguments, option, value):
    assert _parse(arguments).keywords[option] == value


def test_an_option_that_is_given_twice_is_refused(refused):
    line = refused("map", "small", "--stimuli", "s.csv", "--contrast", "a:b", "--contrast=c:d", "--out", "o")
    assert "--contrast is given twice" in line


@pytest.mark.parametrize(("redirection", "status"), [("2>&-", 0), (">&-", 0), ("> /dev/full", 1)])
def test_a_closed_or_full_stream_makes_no_traceback(redirection, status):
    code = f"{sys.executable} -m toposheet stimuli list {redirection}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == status
