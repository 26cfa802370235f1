import pytest
from tests.text.written import texts

from toposheet.text.documents import File, Piece, SourceError, read_documents
from toposheet.text.formats import txt


def test_a_text_file_is_one_document_or_several_between_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffone\r\ntwo\r\n\r\n  <|endoftext|>  \r\n\r\n<|endoftext|>\nthree".encode())
    assert texts(path) == ["one\r\ntwo", "three"]
    path.write_text("one\n\ntwo <|endoftext|>\n")
    assert texts(path) == ["one\n\ntwo <|endoftext|>"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("longest", [16, 17, 18, 23, 2**20])
def test_lines_end_as_on_every_operating_system(tmp_path, monkeypatch, end, longest):
    path = tmp_path / "a.txt"
    path.write_bytes(end.join(["one", "two ä", "<|endoftext|>", "three", " <|endoftext|> ", "four", ""]).encode())
    monkeypatch.setattr(txt, "LONGEST", longest)
    documents, parts = [], []
    for piece in read_documents(File(str(path), 0), "text"):
        parts.append(piece.text)
        if piece.ends:
            documents.append("".join(parts))
            parts = []
    assert documents == [f"one{end}two ä", "three", "four"]
    path.write_bytes(end.join(["one", "two", "thr"]).encode() + b"\xffee")
    with pytest.raises(SourceError, match=r"a\.txt, line 3: not UTF-8"):
        texts(path)


def test_a_long_document_comes_in_pieces_that_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(txt, "LONGEST", 20)
    whole = "a short line\näöü" + "x" * 50 + "\nend"
    (tmp_path / "a.txt").write_text(f"{whole}\n<|endoftext|>\nnext")
    pieces = list(read_documents(File(str(tmp_path / "a.txt"), 0), "text"))
    assert "".join(piece.text for piece in pieces[:-1]).rstrip("\n") == whole
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 2) + [True, True]
    assert pieces[-1] == Piece("next", ends=True)
    assert max(len(piece.text) for piece in pieces) < 60
