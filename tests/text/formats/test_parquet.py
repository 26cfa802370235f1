import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.text.written import fineweb, texts

from toposheet.errors import RunError
from toposheet.text.documents import SourceError


def test_what_is_no_text_in_parquet_is_named(tmp_path):
    pq.write_table(pa.table({"body": ["x"], "id": ["1"]}), tmp_path / "a.parquet")
    message = r"a.parquet: there is no column 'text' \(the columns are: body, id\): .* --text-column"
    with pytest.raises(SourceError, match=message):
        texts(tmp_path / "a.parquet")
    fineweb(tmp_path / "a.parquet", ["x", "y"], text=[1, 2])
    with pytest.raises(SourceError, match=r"a.parquet, row 1: the column 'text' holds int, not text"):
        texts(tmp_path / "a.parquet")
    broken = pa.array([b"x", b"\xff"], pa.binary()).view(pa.string())
    fineweb(tmp_path / "a.parquet", ["x", "y"], text=broken)
    with pytest.raises(SourceError, match=r"a.parquet, row 2: not UTF-8"):
        texts(tmp_path / "a.parquet")


def test_a_network_that_fails_while_reading_is_an_error_of_the_file(tmp_path, monkeypatch):
    import fsspec

    class ConnectError(Exception):
        pass

    def unreachable(*args, **kwargs):
        raise ConnectError("lost")

    monkeypatch.setattr(fsspec, "open", unreachable)
    with pytest.raises(RunError, match=r"^hf://datasets/x/a.parquet: lost"):
        texts("hf://datasets/x/a.parquet")
