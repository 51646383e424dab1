"""Addresses: one form of each, however it is written, and never one of two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichment.identifiers import email_key, normalise_email, request_key, valid_addresses

#: However an address is written, and the form by which it is known everywhere.
SPELLINGS: dict[str, str | None] = {
    "ada@münchen.example": "ada@xn--mnchen-3ya.example",
    "ADA@XN--MNCHEN-3YA.example": "ada@xn--mnchen-3ya.example",
    "ada@mu\u0308nchen.example": "ada@xn--mnchen-3ya.example",
    "\u200bada@münchen.example": "ada@xn--mnchen-3ya.example",
    "ada@mün\u00adchen.example": "ada@xn--mnchen-3ya.example",
    "\u202aada@münchen.example\u202c": "ada@xn--mnchen-3ya.example",
    "\ufeffada@münchen.example": "ada@xn--mnchen-3ya.example",
    "ada@münchen。example": "ada@xn--mnchen-3ya.example",
    "\uff41\uff44\uff41\uff20münchen.example": "ada@xn--mnchen-3ya.example",
    "mailto:ada@münchen.example": "ada@xn--mnchen-3ya.example",
    "MAILTO:ada%40münchen.example?subject=Hi": "ada@xn--mnchen-3ya.example",
    "SMTP:Ada@münchen.example": "ada@xn--mnchen-3ya.example",
    "<ada@münchen.example>": "ada@xn--mnchen-3ya.example",
    "&lt;ada@münchen.example&gt;": "ada@xn--mnchen-3ya.example",
    "Ada Byron <ada@münchen.example>": "ada@xn--mnchen-3ya.example",
    '"Byron, Ada" <ada@münchen.example>': "ada@xn--mnchen-3ya.example",
    '"old@acme.example" <ada@münchen.example>': "ada@xn--mnchen-3ya.example",
    "'ada@münchen.example'": "ada@xn--mnchen-3ya.example",
    "“ada@münchen.example”": "ada@xn--mnchen-3ya.example",
    '"ada"@münchen.example': "ada@xn--mnchen-3ya.example",
    "ada@münchen.example.": "ada@xn--mnchen-3ya.example",
    "ada@münchen.example,": "ada@xn--mnchen-3ya.example",
    "ada@münchen.example (work)": "ada@xn--mnchen-3ya.example",
    "N/A; ada@münchen.example": "ada@xn--mnchen-3ya.example",
    "ada@straße.example": "ada@xn--strae-oqa.example",
    "ada@strasse.example": "ada@strasse.example",
    "Straße@acme.example": "straße@acme.example",
    "Strasse@acme.example": "strasse@acme.example",
    "o\u2019hara@acme.example": "o'hara@acme.example",
    "ada@\u0646\u0627\u0645\u0647\u200c\u0627\u06cc.example": "ada@xn--mgba3gch31f060k.example",
    "ada byron@acme.example": None,
    "ada@acme.co. uk": None,
    "ada@acme.example@acme.example": None,
    "ada@localhost": None,
    "ada@127.0.0.1": None,
    "ada@acme..example": None,
    "ada@i❤.example": None,
    "N/A": None,
    "-": None,
    "ada\ud83d@acme.example": None,
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_address_has_one_form_however_it_is_written(spelling: str) -> None:
    """The same for keys, for the wire and for comparison; what isn't sure is not an address."""
    assert normalise_email(spelling) == SPELLINGS[spelling]


@given(st.text(st.characters(exclude_categories=())) | st.emails() | st.from_regex(r"\w+@\w+\.\w{2,5}"))
def test_the_form_of_an_address_is_its_own(text: str) -> None:
    """Whatever comes in: forms are forms of themselves, and texts with the same key have the same form."""
    for address in valid_addresses(text):
        assert valid_addresses(address) == (address,)
        assert email_key(address) == email_key(f" {address}\u200b")


LETTERS = "[a-z\u00df\u00e4\u0151\u0130\u0131\u017f]{1,8}"


@given(st.from_regex(LETTERS, fullmatch=True), st.from_regex(LETTERS, fullmatch=True))
def test_two_names_never_become_one(one: str, other: str) -> None:
    """Only case and Unicode's form are set aside: in addresses, and in the keys of what is asked for."""
    forms = [normalise_email(f"{name}@acme.example") for name in (one, other)]
    keys = [request_key("zoominfo", {"last_name": name}, []) for name in (one, other)]
    same = one.lower() == other.lower()
    assert (forms[0] == forms[1]) == same
    assert (keys[0] == keys[1]) == same
