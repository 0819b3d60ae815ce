"""Flesch-Kincaid grade, with a syllable counter of our own (no word list to download)."""

import re
from functools import lru_cache

from lendsafe.eval.truth import sentences

WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?")
_NUCLEUS = re.compile(r"[aeiouy]+")
_SPLIT_VOWELS = re.compile(
    r"ia(?!l\b|lly\b|n\b)|io(?!u|n)|[^qg]ua|eo(?!u)|[^cst]ie[tn]|uou|creat(?=i|e)|iu|ying|oing|ui(?=ty)"
)
_SILENT = re.compile(
    r"(?<=[^aeiouyl])e$|(?<=[aeiouyr])le$|(?<=[^aeioutdly])ed$|(?<=[aeiouy]l)ed$|(?<=[aeiouy])ed$|(?<=[^aeioucgsxzlh])es$|(?<=[aeiouy]l)es$|(?<=[^aeiouy]l)(?=y)|(?<=[^aeiou])e(?=ly$|ment|ful|less|ness)"
)


@lru_cache(maxsize=1 << 14)
def syllables(word: str) -> int:
    """Syllables of an English word, at least 1; right for about nine words in ten."""
    word = word.lower().replace("'", "")
    if len(word) <= 3:
        return 1
    return max(1, len(_NUCLEUS.findall(_SILENT.sub("", word))) + len(_SPLIT_VOWELS.findall(word)))


def grade(text: str) -> float:
    """Flesch-Kincaid grade level: 0.39 words/sentences + 11.8 syllables/words - 15.59.

    From Kincaid, Fishburne, Rogers and Chissom (1975). Figures count as no words, since how
    they are read aloud depends on the reader.

    Returns:
        A US school grade; 0 for a text without words.
    """
    spoken = WORD.findall(text)
    if not spoken:
        return 0.0
    count = max(1, sum(1 for a, b in sentences.split(text) if WORD.search(text, a, b)))
    return 0.39 * len(spoken) / count + 11.8 * sum(map(syllables, spoken)) / len(spoken) - 15.59
