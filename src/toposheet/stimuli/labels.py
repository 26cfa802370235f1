"""Labels of conditions. Two labels that look the same in print are the same label."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from toposheet.errors import UserError

_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
"""Characters that Unicode says not to show (Default_Ignorable_Code_Point), apart from those of the category Cf."""

_JOINERS = "[\u200c\u200d]"
_TAGS = "[\U000e0020-\U000e007f]"
_PICTURE = "[\u2190-\u21ff\u2300-\u2bff\U0001f000-\U0001faff]"
_ARABIC = "[\u0620-\u074f\u0750-\u077f\u0860-\u08ff]"
_UNJOINED = "[\u0621-\u0625\u0627\u0629\u062f-\u0632\u0648\u0688\u0691\u0698]"  # never joined to the next letter
_INDIC = "[\u0900-\u0dff\u0f00-\u109f\u1780-\u18aa\u1a20-\u1cff\ua800-\ua8ff\ua980-\uaadf\uabc0-\uabff]"
_SOMETIMES_SHOWN = re.compile(
    f"((?<={_PICTURE})\u200d(?={_JOINERS}*{_PICTURE})"
    f"|(?<={_ARABIC})(?<!{_UNJOINED})\u200c(?={_JOINERS}*{_ARABIC})"
    f"|(?<={_INDIC}){_JOINERS}(?={_JOINERS}*{_INDIC})"
    f"|(?<=\N{WAVING BLACK FLAG}){_TAGS}+)|{_JOINERS}|{_TAGS}"
)
"""Invisible characters that can change how their neighbours look: joiners, and tags (in the flag of Wales).

Group 1 matches where they do.
"""

_SIGNS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-") | dict.fromkeys("\u2018\u2019\u02bc", "'")
_LIGATURES = "\ufb00\ufb01\ufb02\ufb03\ufb04\ufb06\u0132\u0133"
_MICRO_SIGN = "\u00b5"  # looks like the Greek letter

_WORDS = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_LIKE_LATIN = re.compile(  # Cyrillic letters, then Greek letters
    "[\u0405\u0406\u0408\u0410\u0412\u0415\u041a\u041c-\u041e\u0420-\u0423\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445"
    "\u0455\u0456\u0458\u04bb\u0501\u051b\u051d\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u03b9\u03bd\u03bf\u03c1\u03c5]"
)


def plain_label(value: Any) -> str:
    """Return a label as a person reads it. Two labels that look the same become the same text.

    Spaces around the label, invisible characters and control characters are removed. Joiners and tags stay only where
    they change how their neighbours look: in an emoji, and between letters of scripts such as Persian and Hindi. Each
    run of spaces inside the label becomes one ordinary space; this includes no-break spaces. Hyphens, en dashes and
    minus signs become `-`, and curly apostrophes become straight. Ligatures of Latin letters become letters. Full-width
    and half-width characters get their usual width. Accented letters are written in one form (Unicode NFC).

    Letters of two scripts that look the same stay different; see `letters_like_latin`.

    Example:
        plain_label("noun\N{NO-BREAK SPACE}")  # "noun"
    """
    shown = "".join(map(_plain_character, str(value)))
    plain = _SOMETIMES_SHOWN.sub(lambda run: run[1] or "", shown)
    return " ".join(unicodedata.normalize("NFC", plain).split())


def _plain_character(character: str) -> str:
    """Return what is written for a character. Empty: nothing."""
    if character.isspace() or character == "\u2800":  # an empty Braille cell looks like a space
        return " "
    if character in _SIGNS:
        return _SIGNS[character]
    if _SOMETIMES_SHOWN.fullmatch(character):
        return character
    if unicodedata.category(character) in ("Cf", "Cc") or _INVISIBLE.match(character):
        return ""
    kind, *usual = unicodedata.decomposition(character).split() or [""]
    if kind in ("<wide>", "<narrow>") or character in (*_LIGATURES, _MICRO_SIGN):
        return "".join(chr(int(code, 16)) for code in usual)
    return character


def letters_like_latin(label: str) -> str:
    """Return the Cyrillic and Greek letters that look like Latin letters and stand in a word with Latin letters.

    Example:
        letters_like_latin("n\N{CYRILLIC SMALL LETTER O}un")  # "\N{CYRILLIC SMALL LETTER O}"
    """
    words = [word for word in _WORDS.findall(label) if _LATIN.search(word)]
    return "".join(dict.fromkeys(_LIKE_LATIN.findall(" ".join(words))))


def check_capitals(labels: Iterable[str], what: str, where: str, asked: Iterable[str] | None = None) -> None:
    """Refuse labels that differ only in capital letters, such as `noun` and `Noun`. They are probably one label.

    Args:
        labels: All labels of a column.
        what: The name of the column, for the message.
        where: The name of the table, for the message.
        asked: The labels to check. None: all labels.

    Raises:
        UserError: Two labels differ only in capital letters. The message names both.
    """
    distinct = list(dict.fromkeys(labels))
    spellings: dict[str, list[str]] = {}
    for label in distinct:
        spellings.setdefault(label.casefold(), []).append(label)
    for label in distinct if asked is None else asked:
        alike = spellings.get(label.casefold(), [])
        if len(alike) > 1:
            first, second = alike[:2]
            raise UserError(
                f"{where} has {first!r} and {second!r} in the column {what!r}: they differ only in "
                "capital letters. Write both in the same way"
            )
