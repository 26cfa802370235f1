import pandas as pd
import pytest

from toposheet.report.published import MORANS_I
from toposheet.stimuli.studies import published_battery


def test_pairs_of_your_own_fill_the_ledgers_row(refused, tmp_path, data):
    rows = [
        f"{run},{run},{kind},{kind} {run},{kind}{run} word{kind}{run}" for run in range(4) for kind in ("noun", "verb")
    ]
    (tmp_path / "pairs.csv").write_text("\n".join(["run,block,class,category,pair", *rows]) + "\n")
    (tmp_path / "words.csv").write_text("text,condition\na,noun\nb,noun\nc,noun\nd,verb\ne,verb\nf,verb\n")
    arguments = ["ledger", "small", "--stimuli", "published", "--data", data, "--out", tmp_path / "o", "--pairs"]
    line = refused(*arguments, tmp_path / "words.csv")
    assert "words.csv has no column 'run'; it has: text, condition. A file of pairs needs run, block, class" in line
    battery = published_battery(data, tmp_path / "pairs.csv")
    assert list(battery.contrasts())[-1] == "pairs noun:verb"
    assert MORANS_I[0].contrasts[battery.name] == "pairs noun:verb"


@pytest.mark.slow
@pytest.mark.parametrize("stimuli", ["synthetic", "published"])
def test_ledger_and_report_of_the_shipped_pair_stand_on_both_kinds_of_stimuli(ran, tmp_path, data, stimuli):
    arguments = ["--stimuli", stimuli, "--data", data, "--permutations", "19"]
    printed = ran("ledger", "small", *arguments, "--out", tmp_path / "ledger")
    assert "\nMoran's I, verbs-nouns, mean over taps | raw | " in printed
    table = pd.read_csv(tmp_path / "ledger" / "ledger.csv")
    concrete = table[(table["quantity"].str.contains("concrete")) & (table["fwhm_mm"] == 0)]
    assert concrete["published"].astype(float).tolist() == [0.80, 0.11]
    for verdict, p in zip(concrete["verdict"], concrete["organisation_p"], strict=True):
        shown, other = "the effect is spatially ordered (", "it is not shown that the effect is spatially ordered ("
        assert verdict.startswith(shown if p <= 0.05 else other)
    assert float(concrete["measured"].iloc[0]) > 0.3 > float(concrete["measured"].iloc[1])
    assert (tmp_path / "ledger" / "ledger.md").is_file()
    ran("report", "small", *arguments, "--out", tmp_path / "report")
    page = (tmp_path / "report" / "report.html").read_text()
    assert f"Stimuli: <b>{stimuli}</b>" in page
    assert ("toposheet made these texts from packages" in page) == (stimuli == "synthetic")
    assert (tmp_path / "report" / "figures" / "network.pdf").is_file()
