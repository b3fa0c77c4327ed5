"""Uploaded files: what is read out of them, and how hostile ones end."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from model.errors import InputError
from serve.uploads import confined, docx, pdf, tables
from serve.uploads.documents import MAX_CHARACTERS, Document, read_document

WORDS = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TEXT = "Police arrested a broker who laundered coins."


def docx_file(body: str, *, member: str = "word/document.xml", head: str = "") -> bytes:
    """A Word file around the XML of a body."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, f"{head}<w:document xmlns:w='{WORDS}'><w:body>{body}</w:body></w:document>")
    return out.getvalue()


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf_file(*pages: str, password: str = "", owner: str = "") -> bytes:
    """A PDF with a line of text on each page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
         NameObject("/BaseFont"): NameObject("/Helvetica")}
    )  # fmt: skip
    reference = writer._add_object(font)
    for text in pages:
        page = writer.add_blank_page(595, 842)
        fonts = DictionaryObject({NameObject("/F1"): reference})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password or owner:
        writer.encrypt(password, owner or None, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", TEXT.encode()), ("a.md", TEXT.encode()), ("A.PDF", pdf_file(TEXT)),
        ("a.docx", docx_file(paragraph(TEXT))),
        ("a.html", f"<html><body><article><p>{TEXT} {'It was said in court. ' * 20}</p></article>".encode()),
    ],
)  # fmt: skip
def test_text_of_every_kind_of_file(name: str, data: bytes) -> None:
    assert TEXT in read_document(data, name).text


def test_word_text_in_order_and_once() -> None:
    fallback = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    boxed = (
        f"<w:p><m:AlternateContent xmlns:m='{fallback}'><m:Choice>{paragraph('in a box')}</m:Choice>"
        f"<m:Fallback>{paragraph('in a box')}</m:Fallback></m:AlternateContent></w:p>"
    )
    cells = f"<w:tbl><w:tr><w:tc>{paragraph('left')}</w:tc><w:tc>{paragraph('right')}</w:tc></w:tr></w:tbl>"
    parts = (
        "<w:p><w:r><w:t>one</w:t><w:tab/><w:t>two</w:t><w:delText>gone</w:delText><w:br/><w:t>three</w:t></w:r></w:p>"
    )
    found = docx.docx_text(docx_file(parts + boxed + cells), "a.docx")
    assert found == "one\ttwo\nthree\nin a box\nleft\nright"


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.exe", b"MZ", "not a kind of file"),
        ("a.txt", b"\x00\x01binary", "binary"),
        ("a.txt", b"caf\xe9", "not UTF-8"),
        ("a.txt", b"  \n", "empty"),
        ("a.txt", b"x" * 20_000_001, "larger than"),
        ("a.html", b"<html></html>", "no article"),
        ("a.pdf", b"no pdf", "not a PDF"),
        ("a.pdf", b"%PDF-1.7\n" + b"garbage " * 100, "damaged PDF"),
        ("a.pdf", pdf_file(TEXT)[:300], "damaged PDF"),
        ("a.pdf", pdf_file(TEXT, password="secret"), "password"),
        ("a.pdf", pdf_file(""), "no text"),
        ("a.docx", b"PK\x03\x04garbage", "damaged Word"),
        ("a.docx", b"", "damaged Word"),
        ("a.docx", docx_file(paragraph("x"), member="xl/workbook.xml"), "not a Word document"),
        ("a.docx", docx_file("<w:p>"), "XML cannot be read"),
        ("a.docx", docx_file(paragraph("&a;"), head="<!DOCTYPE x [<!ENTITY a 'aaaa'>]>"), "XML entities"),
        (
            "a.docx",
            docx_file(paragraph("&a;"), head="<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"),
            "XML entities",
        ),
        ("a.docx", docx_file("<w:p/>" * 6_000_000), "more than 30 MB when unpacked"),
    ],
)
def test_hostile_and_broken_documents(name: str, data: bytes, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read_document(data, name)


def test_a_lie_about_the_unpacked_size_is_not_believed() -> None:
    data = bytearray(docx_file("<w:p/>" * 6_000_000))
    real = (6_000_000 * 6).to_bytes(4, "little")
    for place in range(len(data) - 46):  # the sizes in both headers
        if data[place : place + 3] == real[:3]:
            data[place : place + 4] = (100).to_bytes(4, "little")
    with pytest.raises(InputError):
        read_document(bytes(data), "a.docx")


@pytest.mark.skipif(find_spec("cryptography") is not None, reason="with it, AES can be read")
def test_a_pdf_protected_by_aes_is_not_called_damaged() -> None:
    """Owners protect releases so, without a password to open them; reading them takes a library more."""
    data = pdf_file(TEXT, owner="secret")
    place = data.index(b"/V 2")
    data = data[:place] + b"/V 4" + data[place + 4 :]
    data = data.replace(b"/R 3", b"/R 4 /CF << /StdCF << /CFM /AESV2 /Length 16 >> >> /StmF /StdCF /StrF /StdCF", 1)
    with pytest.raises(InputError, match="protected"):
        read_document(data, "a.pdf")


def test_halves_of_characters_are_replaced() -> None:
    """A PDF's own table of characters may name them; no page could show them."""
    broken = Document("a \ud83d b \0")
    assert broken.text == "a \ufffd b  "


def test_a_package_of_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("serve", "model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_text(TEXT)
    assert confined.read_document(tmp_path / "x.txt", "x.txt").text == TEXT


def test_long_documents_are_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "MAX_PAGES", 2)
    found = read_document(pdf_file("first", "second", "third"), "a.pdf")
    assert found.note == "Only the first 2 of 3 pages were read."
    assert "third" not in found.text
    long = read_document(b"word " * 120_000, "a.txt")
    assert len(long.text) <= MAX_CHARACTERS
    assert "first 500,000 characters" in long.note


def test_reading_is_confined(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(docx_file(paragraph(TEXT)))
    assert confined.read_document(path, "a.docx").text == TEXT
    with pytest.raises(InputError, match=r"^my\.pdf: not a PDF"):
        confined.read_document(path, "my.pdf")
    path.write_bytes(docx_file("<w:p/>" * 4_000_000))  # within its own limit, but not within this memory
    with pytest.raises(InputError, match="memory"):
        confined.read_document(path, "a.docx", confined.Bounds(150 * 2**20, 30, 60))


def table(path: Path, rows: int = 3) -> Path:
    path.write_text("id,text,day\n" + "".join(f"{i},{TEXT},2024-01-0{i % 9 + 1}\n" for i in range(rows)))
    return path


def test_tables_are_looked_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = table(tmp_path / "x")
    item = tables.table_input(path, "mine.csv")
    assert tables.column_names(item) == ["id", "text", "day"]
    assert tables.count_rows(item, "text", None) == tables.Rows(3, 0)
    with pytest.raises(InputError, match=r"mine\.csv: no column 'body'"):
        tables.count_rows(item, "body", None)
    monkeypatch.setattr(tables, "MAX_ROWS", 2)
    with pytest.raises(InputError, match="more than 2 rows"):
        tables.count_rows(item, "text", None)
    for name in ("mine.zip", "mine.csv.gz", "mine"):
        with pytest.raises(InputError, match="tells no format"):
            tables.table_input(path, name)
    monkeypatch.setattr(tables, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        tables.table_input(path, "mine.csv")


def test_columns_of_other_formats(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text('{"text": "a"}\nno json\n{"text": "b", "date": "2024"}\n')
    item = tables.table_input(lines, "x.jsonl")
    assert tables.column_names(item) == ["text", "date"]
    assert tables.count_rows(item, "text", None) == tables.Rows(3, 1)
    file = tmp_path / "columns"
    pq.write_table(pa.table({"headline": ["a"], "n": [1]}), file)
    assert tables.column_names(tables.table_input(file, "x.parquet")) == ["headline", "n"]
    semicolons = tmp_path / "semicolons"
    semicolons.write_text("id;text\n1;a, b, c\n")
    assert tables.column_names(tables.table_input(semicolons, "x.csv")) == ["id", "text"]


def test_a_table_that_unpacks_to_more_than_there_is_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    big = pa.DictionaryArray.from_arrays(pa.array([0] * 4_000), pa.array(["x" * 20_000_000]))
    pq.write_table(pa.table({"text": big}), path, compression="zstd")
    assert path.stat().st_size < 1_000_000
    assert confined.column_names(path, "bomb.parquet") == ["text"]
    with pytest.raises(InputError, match="bomb"):
        confined.count_rows(path, "bomb.parquet", "text", None, confined.Bounds(1024 * 2**20, 30, 120))


def test_the_answer_holds_what_json_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text('\u202eright to left\u202c \U0001f600 {json: "\'"}', "utf-8")
    found = confined.read_document(path, "x.txt").text
    assert found == json.loads(json.dumps(path.read_text("utf-8")))
