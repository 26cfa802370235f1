import pytest
from tests.text.written import TEXTS, fineweb, texts

from toposheet.text.documents import cards, list_files
from toposheet.text.sources import fineweb_edu


def test_fineweb_edu_is_streamed_from_the_hub(tmp_path, monkeypatch):
    import fsspec

    hub = fsspec.filesystem("memory")
    for name in ("001_00000.parquet", "000_00000.parquet"):
        fineweb(tmp_path / name, [f"{name} {text}" for text in TEXTS])
        hub.pipe(f"/sample/10BT/{name}", (tmp_path / name).read_bytes())
    hub.pipe("/sample/10BT/README.md", b"about")
    monkeypatch.setattr(fineweb_edu, "FOLDER", "memory://sample/10BT")
    files = list_files(["fineweb-edu"])
    assert [file.path for file in files] == [f"memory:///sample/10BT/{i:03d}_00000.parquet" for i in range(2)]
    assert [file.size for file in files] == [(tmp_path / f"{i:03d}_00000.parquet").stat().st_size for i in range(2)]
    assert texts(files[1].path) == [f"001_00000.parquet {text}" for text in TEXTS]
    (entry,) = cards("fineweb-edu", None)
    assert "ODC-By 1.0" in entry["licence"]


def test_a_hub_that_does_not_answer_is_one_line(monkeypatch):
    from huggingface_hub import HfFileSystem

    def unreachable(self, *args, **kwargs):
        raise ConnectionError("Name or service not known\nand much more")

    monkeypatch.setattr(HfFileSystem, "find", unreachable)
    with pytest.raises(
        FileNotFoundError, match=r"hf://.*/10BT cannot be read from the hub \(Name or service not known\)"
    ):
        list_files(["fineweb-edu"])
