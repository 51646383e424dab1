"""The one form of each kind of canonical value, read from the many in which providers write it."""

import html
import re
import unicodedata
from collections.abc import Collection, Mapping
from html.entities import html5
from typing import Any
from urllib.parse import unquote

import idna

from enrichment.places import country_code, state_code

#: They join letters or keep them apart, and so mean something within the words of some languages.
JOINERS = "\u200c\u200d"
#: Blank or invisible by their look, though Unicode counts them among letters, marks and symbols.
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"


def visible(text: str, keep: str = "") -> str:
    """Return a text without what can't be seen, such as marks of direction and blanks of no width; `keep` is kept."""
    return text if text.isascii() else "".join(c for c in text if c in keep or not _is_unseen(c))


def _is_unseen(character: str) -> bool:
    return _is_variation(character) or character in _BLANK or unicodedata.category(character) == "Cf"


def _is_variation(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,30}));")


def unescaped(text: str) -> str:
    """Return a text with `&` in place of `&amp;` and so on, however often it was escaped."""
    while "&" in text and (plain := _ENTITY.sub(_character, text)) != text:
        text = plain
    return text


def _character(entity: re.Match[str]) -> str:
    known = entity[1] is None or f"{entity[1]};" in html5
    return html.unescape(entity[0]) if known else entity[0]


#: What is written where nothing is known, in lower case and without what stands around it.
_NOTHING = frozenset(
    """
n/a|n\\a|n.a|n. a|na|n/d|n/k|k.a|k. a|nil|nan|null|none|undefined|unknown|unspecified|unavailable|blank|empty|missing
not available|not applicable|not specified|not provided|not found|not known|not set|not disclosed|not listed|no data
no value|no info|no information|no name|none given|none provided|tbd|tba|tbc|to be determined|to be announced
to be confirmed|placeholder|object object|unbekannt|keine angabe|nicht verfügbar|inconnu|non renseigné|desconocido
sconosciuto|onbekend|nicht angegeben|nicht bekannt|aucun|aucune|ninguno|ninguna|no disponible|no aplica|sin datos|s/d
nessuno|nessuna|não informado|desconhecido|неизвестно|не указано|n / a|no company|no title|noname|\\n
""".strip()
    .replace("\n", "|")
    .split("|")
)
_CELL_ERROR = re.compile(r"#(?:n/a|ref!|value!|name\?|null!|div/0!|num!|error!?|spill!|calc!)", re.IGNORECASE)
_AROUND = " ()[]{}<>\"'*_-.:;,#!?~=/\u2013\u2014\u2026"


def is_placeholder(text: str) -> bool:
    """Return whether a text only stands where nothing is known: `N/A`, `-`, `unknown`, a spreadsheet's error."""
    word = text.casefold().strip(_AROUND)
    return not any(map(str.isalnum, word)) or word in _NOTHING or ("#" in text and _is_cell_error(text))


def _is_cell_error(text: str) -> bool:
    return bool(_CELL_ERROR.fullmatch(text.strip()))


#: Characters of control: they are invisible, and a CRM keeps them or not. Those above come from Windows' own charset.
_CONTROLS = {
    code: bytes([code]).decode("cp1252", "ignore") if code > 0x7F else "" for code in (*range(32), *range(127, 160))
}


def cleaned(value: Any, real: Collection[str] = ()) -> Any:
    """
    Return a text of a provider without what isn't part of it, or None if it is a placeholder; of a list, each item.

    Args:
        value: as the provider gives it; what is no text stays as it is.
        real: words that are placeholders elsewhere and mean something here, in their usual case.
    """
    if isinstance(value, list):
        return [cleaned(item, real) if isinstance(item, str) else item for item in value]
    if not isinstance(value, str):
        return value
    text = " ".join(unescaped(value).split())
    if not (text.isascii() and text.isprintable()):
        text = _without_invisible(text)
    return None if is_placeholder(text) and text not in real else text


def _without_invisible(text: str) -> str:
    """Return a text without control characters, and without what can't be seen at its ends."""
    text = " ".join(text.translate(_CONTROLS).split())
    while text and _is_unseen(text[0]):
        text = text[1:].lstrip()
    while text and _is_unseen(text[-1]) and not _is_variation(text[-1]):
        text = text[:-1].rstrip()
    return text


_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?!\d+\Z)(?=..){_LABEL}")


def ascii_host(text: str) -> str | None:
    """Return a domain in lower case and in ASCII by IDNA 2008, or None if it can't be one."""
    for name in (text, visible(text)):  # a joiner that stands where IDNA permits it is part of the name
        try:
            host = (name.lower() if name.isascii() else idna.encode(name, uts46=True).decode()).strip().rstrip(".")
        except UnicodeError:
            continue
        if _HOST.fullmatch(host):
            return host
    return None


_LINKEDIN = re.compile(
    r"(?:(?:https?:)?//)?(?:[a-z]{1,3}\.)?linkedin\.com/(?P<path>[^\s?#]+)(?:[?#].*)?", re.IGNORECASE
)
_DOMAIN = re.compile(r"(?:(?:https?:)?//)?(?:www\.)?(?P<host>[^\s/?#:@]+)(?::\d+)?(?P<rest>[/?#].*)?", re.IGNORECASE)
#: A page at one of these is a company's page there; the domain isn't the company's own.
_PLATFORMS = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:(?:linkedin|facebook|fb|twitter|x|instagram|youtube|xing|crunchbase|github)\.com|wikipedia\.org)"
    r"|sites\.google\.com|t\.me|linktr\.ee"
)
_FIGURES = (
    r"[0-9]{1,3}(?:[,'\u2019][0-9]{3})+",
    r"[0-9]{1,9}\.0",
    r"[0-9]{1,3}\.[0-9]{1,2}(?=[ ]?[kKmM])",
    r"[0-9]{1,9}",
)
_NUMBER = rf"(?!0[0-9])({'|'.join(_FIGURES)})[ ]?([kKmM]?)"
_PEOPLE = re.compile(r"\s*(?:employees?|people|persons?|staff|staff members|workers|FTEs?)$", re.IGNORECASE)
_EXACTLY = re.compile(_NUMBER)
_BOTH_ENDS = re.compile(rf"{_NUMBER}\s*(?:[-~\u2010-\u2015\u2212\u301c]|to)\s*{_NUMBER}", re.IGNORECASE)
_AND_MORE = re.compile(rf"{_NUMBER}\s*(?:\+|(?:or|and) (?:more|over|above|up))", re.IGNORECASE)
#: What to add to a bound for the least, or the most, that it permits.
_LEAST = {"over": 1, "more than": 1, "above": 1, ">": 1, "at least": 0, ">=": 0, "\u2265": 0}
_MOST = {"under": -1, "less than": -1, "fewer than": -1, "below": -1, "<": -1, "up to": 0, "at most": 0, "<=": 0}
_BOUND = re.compile(rf"({'|'.join((*_LEAST, *_MOST))})\s*{_NUMBER}", re.IGNORECASE)
_LARGEST = 10_000_000
_YEAR = re.compile(r"([0-9]{4})(?:\D.*)?")

#: Countries whose numbers are written without the country's code, and are ten digits long with it being 1.
_NORTH_AMERICAN = frozenset({"US", "CA"})
_NATIONAL = re.compile(r"1?([2-9][0-9]{2}[2-9][0-9]{6})")
_INTERNATIONAL = re.compile(r"[1-9][0-9]{6,14}")
_PUNCTUATION = re.compile(r"[\s().\-/]")

#: The words of providers for each level; what isn't here can't be read for certain.
_SENIORITIES: Mapping[str, tuple[str, ...]] = {
    "owner": ("founder", "partner"),
    "c_level": ("c_suite", "cxo"),
    # Of a provider that doesn't distinguish the two levels.
    "executive": (),
    "vp": ("vp_level", "vice_president"),
    "director": ("head",),
    "manager": (),
    "senior": (),
    "entry": ("junior", "non_manager", "intern", "training"),
}
SENIORITIES = tuple(_SENIORITIES)
_LEVELS = {word: level for level, words in _SENIORITIES.items() for word in (level, *words)}


def linkedin_page(value: Any) -> str | None:
    """Return one spelling of the address of a page at LinkedIn, from a URL with or without scheme and country."""
    found = _LINKEDIN.fullmatch(str(value).strip())
    path = "/".join(filter(None, found["path"].split("/"))) if found else ""
    return f"https://www.linkedin.com/{path}" if path else None


def linkedin_url(value: Any) -> str | None:
    """Return one spelling of the address of a person's profile at LinkedIn, or None, as of a company's page."""
    return _page_of_kind(value, ("in", "pub"))


def company_linkedin_url(value: Any) -> str | None:
    """Return one spelling of the address of a company's page at LinkedIn, or None, as of a person's profile."""
    return _page_of_kind(value, ("company", "school", "showcase"))


def _page_of_kind(value: Any, kinds: Collection[str]) -> str | None:
    page = linkedin_page(value) or ""
    kind, _, path = page.removeprefix("https://www.linkedin.com/").partition("/")
    name = path.partition("/")[0]
    if kind.lower() not in kinds or is_placeholder(unquote(path)) or is_placeholder(unquote(name)):
        return None
    # What follows a name is a language or a part of the page; in old addresses of people it is part of the name.
    return f"https://www.linkedin.com/{kind.lower()}/{path if kind.lower() == 'pub' else name}"


def domain(value: Any) -> str | None:
    """
    Return the domain of a website, in ASCII and without `www.`, from a URL or a bare domain, or None.

    A page at a platform, such as a profile, has no domain of its own.
    """
    found = _DOMAIN.fullmatch(value.strip()) if isinstance(value, str) else None
    host = ascii_host(found["host"]) if found else None
    is_page = host and _PLATFORMS.fullmatch(host) and found and (found["rest"] or "").strip("/")
    return None if is_page else host


def count(value: Any) -> int | None:
    """Return a number of people, from a number or from `3,508`, `1.5K` or `50 employees`, or None."""
    least, most = _size(value) or (0, 1)
    return least if least == most else None


def size_range(value: Any) -> str | None:
    """
    Return a range of numbers of people as `11-50` or `10001+`, or None.

    It is read from `1K-5K`, `1,000 - 5,000 employees`, `25 to 50`, `Over 10,000` or `<10`. What can be read in two ways
    is none: `1-5K`, `1.000-5.000`, `51_200`.
    """
    least, most = _size(value) or (0, 0)
    if least == most:
        return None
    return f"{least}+" if most is None else f"{least}-{most}"


def _size(value: Any) -> tuple[int, int | None] | None:
    """Return the least and the most that a size means, None for no most; one of no people or of too many isn't one."""
    if isinstance(value, str):
        text = _PEOPLE.sub("", value.strip())
        found = _exact_size(text) or _range_of_both_ends(text) or _open_size(text)
    else:
        whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
        found = (int(value), int(value)) if whole and abs(value) <= _LARGEST else None
    if found is None:
        return None
    least, most = found
    ordered = least >= 1 if most is None else 0 <= least <= most
    return found if ordered and 1 <= (least if most is None else most) <= _LARGEST else None


def _exact_size(text: str) -> tuple[int, int | None] | None:
    found = _EXACTLY.fullmatch(text)
    return (_number(*found.groups()),) * 2 if found else None


def _range_of_both_ends(text: str) -> tuple[int, int | None] | None:
    found = _BOTH_ENDS.fullmatch(text)
    if not found:
        return None
    first, unit, second, last_unit = found.groups()
    if last_unit and not unit and _number(first, "") < _number(second, ""):
        return None  # of 1-5K, the one may be a thousand
    least, most = _number(first, unit), _number(second, last_unit)
    return (least, most) if least <= most else None


def _open_size(text: str) -> tuple[int, int | None] | None:
    if found := _AND_MORE.fullmatch(text):
        return _number(*found.groups()), None
    if found := _BOUND.fullmatch(text):
        word, bound = found[1].lower(), _number(found[2], found[3])
        return (bound + _LEAST[word], None) if word in _LEAST else (1, bound + _MOST[word])
    return None


def phone(value: Any) -> str | None:
    """
    Return a telephone number as E.164, or None if it can't be read for certain.

    Args:
        value: the number, or a list of it and its owner's country; without that, only one with a plus sign is sure.
    """
    number, place = _with_country(value)
    digits = _PUNCTUATION.sub("", number)
    if digits.startswith("+"):
        # The zero of +44 (0)20 is dialled within the country only.
        return digits if "(0" not in number and _INTERNATIONAL.fullmatch(digits[1:]) else None
    found = _NATIONAL.fullmatch(digits) if place in _NORTH_AMERICAN else None
    return f"+1{found[1]}" if found else None


def country(value: Any) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country, from a code or a name, or None."""
    return country_code(value) if isinstance(value, str) else None


def state(value: Any) -> str | None:
    """Return a state, by its code in the United States and Canada; the value is it, or a list of it and its country."""
    name, code = _with_country(value)
    return None if is_placeholder(name) else state_code(name, code)


def year(value: Any) -> int | None:
    """Return the year of a date that begins with it, or of a number."""
    found = _YEAR.fullmatch(str(value).strip())
    return int(found[1]) if found else None


def seniority(value: Any) -> str | None:
    """Return the highest of a person's levels, one of SENIORITIES, or None; the value is a word or a list of such."""
    words = [
        re.sub(r"[\s-]+", "_", str(one).strip().lower()) for one in (value if isinstance(value, list) else [value])
    ]
    levels = {_LEVELS[word] for word in words if word in _LEVELS}
    return next((level for level in SENIORITIES if level in levels), None)


def _number(digits: str, unit: str) -> int:
    return round(float(re.sub(r"[,'\u2019]", "", digits)) * {"": 1, "k": 1_000, "m": 1_000_000}[unit.lower()])


def _with_country(value: Any) -> tuple[str, str | None]:
    given, place = value if isinstance(value, list) and len(value) == 2 else (value, None)
    return given.strip() if isinstance(given, str) else "", country(place)
