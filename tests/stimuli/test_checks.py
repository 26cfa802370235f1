import pytest

from toposheet.stimuli.checks import check
from toposheet.stimuli.table import read_stimuli


def test_a_check_says_what_could_mislead_and_refuses_what_analyses_refuse(tmp_path):
    (tmp_path / "s.csv").write_text(
        "text,condition\n" + "one,a\ntwo,a\ntwo ,a\nfour,a\n four,b\nsix,b\nseven words more,b\n"
    )
    table = read_stimuli(tmp_path / "s.csv")
    notes = " | ".join(check(table))
    assert "rows 5, 6: the text 'four' is in several conditions" in notes
    assert "1 texts stand in their condition more than once, e.g. row 4" in notes
    with pytest.raises(ValueError, match=r"s\.csv, row 8 has 16 tokens, the model reads at most 10"):
        check(table, count_tokens=len, context=10)
    with pytest.raises(ValueError, match=r"s\.csv has 1 texts of the condition 'a'"):
        check(table.iloc[3:])
