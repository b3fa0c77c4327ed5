"""Articles, sentences and languages."""

from __future__ import annotations

import pytest

from model.errors import InputError
from model.language import detect_language
from model.text import Article, calmed, sentence_spans


@pytest.mark.parametrize("text", ["", "   \n\t ", "\u200b \u200b".replace("\u200b", " ")])
def test_empty_text_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="empty"):
        Article(text)


def test_text_of_another_type_is_refused() -> None:
    with pytest.raises(InputError, match="must be strings"):
        Article(3)  # type: ignore[arg-type]


def test_full_text_keeps_offsets_of_the_parts() -> None:
    article = Article("Body \x00 and \ud800 more.", "Head")
    assert article.full_text[article.text_start :][:4] == "Body"
    assert len(article.full_text) == len("Head\n\n") + len(article.text)
    article.full_text.encode("utf-8")


@pytest.mark.parametrize(
    ("language", "text", "sentences"),
    [
        ("en", "Dr. Smith left. He did not return.", ["Dr. Smith left.", "He did not return."]),
        ("zh", "警方发出警告。家长应注意！", ["警方发出警告。", "家长应注意！"]),
        ("hi", "पुलिस आई। सब चले गए।", ["पुलिस आई।", "सब चले गए।"]),
        ("en", "A headline with no stop\n- first item\n- second item", 3),
        ("und", "Nothing known. Still cut.", 2),
    ],
)
def test_sentences(language: str, text: str, sentences: list[str] | int) -> None:
    found = [text[a:b] for a, b in sentence_spans(text, language)]
    assert (len(found) if isinstance(sentences, int) else found) == sentences


def test_sentences_cover_all_but_white_space() -> None:
    text = "One. Two! Three?\n\nFour 😀 and ½ — five. " + "endless " * 300
    spans = sentence_spans(text, "en")
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert all(b - a <= 400 for a, b in spans)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("La police a arrêté cinq personnes hier soir à Lyon.", "fr"),
        ("POLICE ARRESTED FIVE PEOPLE IN THE CITY LAST NIGHT", "en"),
        ("Inaresto ng pulisya ang limang tao kagabi sa Maynila.", "fil"),
        ("ፖሊስ አምስት ሰዎችን በቁጥጥር ስር አዋለ", "am"),
        ("12345 !!!", "und"),
    ],
)
def test_language(text: str, code: str) -> None:
    assert detect_language(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "POLİS ANKARA'DA BİR KİŞİYİ GÖZALTINA ALDI",
        "ΣΥΝΕΛΗΦΘΗ ΑΝΔΡΑΣ ΣΤΗΝ ΑΘΗΝΑ ΓΙΑ ΕΚΒΙΑΣΜΟ",
        "DIE GROẞE STRASSE WAR GESPERRT",
    ],
)
def test_a_shouted_text_is_calmed(text: str) -> None:
    assert calmed(text).islower()
    assert len(calmed(text)) == len(text)


@pytest.mark.parametrize("text", ["FBI, NCMEC and the DOJ said", "Ministério Público", "警方拘捕三人", "HELP"])
def test_other_texts_are_left_alone(text: str) -> None:
    assert calmed(text) == text
