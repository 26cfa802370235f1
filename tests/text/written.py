"""Files of documents, as they are written for tests and as they are read back."""

import pyarrow as pa
import pyarrow.parquet as pq

from toposheet.text.documents import File, read_documents

TEXTS = ["The river ran.\nPast the mill.", "Ünïcode — “quotes” 雪", "A third <|endoftext|> in a line."]


def texts(path, column="text"):
    pieces = list(read_documents(File(str(path), 0), column))
    assert all(piece.ends for piece in pieces)
    return [piece.text for piece in pieces]


def fineweb(path, texts, **changes):
    """Write a file of FineWeb-Edu's schema."""
    n = len(texts)
    columns = {
        "text": texts,
        "id": [f"<urn:uuid:{i}>" for i in range(n)],
        "dump": ["CC-MAIN-2013-20"] * n,
        "url": [f"http://example.org/{i}" for i in range(n)],
        "file_path": ["s3://commoncrawl/x.warc.gz"] * n,
        "language": ["en"] * n,
        "language_score": [0.97] * n,
        "token_count": [10] * n,
        "score": [3.2] * n,
        "int_score": [3] * n,
    }
    pq.write_table(pa.table({name: changes.get(name, values) for name, values in columns.items()}), path)
    return path
