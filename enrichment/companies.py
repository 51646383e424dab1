"""Names of companies, compared: a company has many, and they are written in many ways."""

import re
import unicodedata
from difflib import SequenceMatcher

#: Letters that Unicode doesn't decompose, and pairs that stand for one letter where its mark can't be written.
_LETTERS = str.maketrans(
    {"ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "a", "œ": "o", "\u0131": "i", "&": " and "}
)
_PAIRS = re.compile(r"([aou])e")
_WORD = re.compile(r"[a-z0-9]+")
#: Alphabets in which a name is spelled in one way, once its marks are gone: Greek, Cyrillic, and Korean's parts.
_OTHER_WORDS = [re.compile(rf"[{letters}]+") for letters in ("\u03b1-\u03c9", "\u0430-\u045f", "\u1100-\u11ff")]
#: Legal forms, and words that many companies share.
_COMMON_WORDS = """
    inc incorporated llc llp lp ltd limited corp corporation co company gmbh mbh ag kg kgaa ohg ug gbr se eg ev sa
    sas sasu sarl srl spa snc sl slu bv nv ab as asa oy oyj aps plc pty pvt pte kk sp z o oo kft zrt doo ltda lda
    the and und et of for group groupe gruppe grupo holding holdings international global worldwide europe services
    service solutions systems technologies technology tech consulting partners software digital media labs
    industries bank university college hospital school
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_NO_COMPANY = frozenset({"co", "com", "org", "net", "ac", "gov", "edu", "or", "ne", "www", "mail", "email"})
#: Texts that are this much alike may be two spellings of one name.
_ALIKE = 0.7
_SHORT = 3
_LONGEST_ACRONYM = 4


def words_of(text: str) -> list[str]:
    """Return the words of a name without marks, in small letters; those of another script are left out."""
    return [_PAIRS.sub(r"\1", word) for word in _WORD.findall(_plain(text))]


def words_alike_written(one: str, other: str) -> tuple[list[str], list[str]]:
    """Return the words of two names in the script that they share: in Latin letters, else in another alphabet."""
    latin = words_of(one), words_of(other)
    if all(latin):
        return latin
    found = ((word.findall(_plain(one)), word.findall(_plain(other))) for word in _OTHER_WORDS)
    return next((both for both in found if all(both)), ([], []))


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def company_of_domain(domain: str) -> str:
    """Return what a domain says of whose it is: its words without the endings."""
    return " ".join(part for part in domain.lower().split(".")[:-1] if part not in _NO_COMPANY)


def companies_alike(one: str, other: str) -> bool:
    """Return whether two texts, names of companies or what a domain says of one, may mean the same company."""
    whole = words_alike_written(one, other)
    first, second = ([word for word in words if word not in _COMMON] for words in whole)
    if not first or not second or not set(first).isdisjoint(second):
        return True
    joined = "".join(first), "".join(second)
    return alike(*joined) or _abbreviates(joined[0], whole[1]) or _abbreviates(joined[1], whole[0])


def alike(one: str, other: str) -> bool:
    """Return whether one text is a part of the other, or nearly the same."""
    short, long = sorted((one, other), key=len)
    return (len(short) > _SHORT and short in long) or SequenceMatcher(None, one, other).ratio() >= _ALIKE


def _abbreviates(short: str, words: list[str]) -> bool:
    """Return whether a text is made of the words' beginnings, or is short and its letters stand in this order there."""
    ends = {0}
    for word in words:
        ends |= {end + n for end in ends for n in range(1, len(word) + 1) if short.startswith(word[:n], end)}
    rest = iter("".join(words))
    is_acronym = len(short) <= _LONGEST_ACRONYM and short[0] == words[0][0] and all(letter in rest for letter in short)
    return is_acronym or len(short) in ends
