"""What a foreign error said stays behind the seal."""

import traceback

import pytest

from enrichment.errors import ConfigurationError, UnexpectedError, sealed

CONTACT = "zoe@acme.example"


@sealed
def fail(error: Exception) -> None:
    """Fail as a driver does."""
    raise error


@sealed
def double(number: int, *, times: int = 2) -> int:
    return number * times


def test_a_foreign_error_comes_out_as_where_it_arose() -> None:
    """Its class and the places that it passed are said, its text isn't, nor is it kept as the cause."""
    with pytest.raises(UnexpectedError) as caught:
        fail(ValueError(f"value too long: {CONTACT}"))
    assert str(caught.value).startswith("ValueError at test_sealing.py:")
    assert " fail < errors.py:" in str(caught.value)
    assert CONTACT not in "".join(traceback.format_exception(caught.value))


def test_an_error_of_ours_comes_out_as_it_is() -> None:
    """Its words are ours and hold no contact; where it came from is cut off."""
    error = ConfigurationError("set ENRICHMENT_X_TOKEN")
    with pytest.raises(ConfigurationError, match="set ENRICHMENT_X_TOKEN") as caught:
        fail(error)
    assert caught.value is error
    assert caught.value.__suppress_context__


def test_what_does_not_fail_is_let_through() -> None:
    """Arguments and results pass, and the function keeps its name."""
    assert double(4, times=3) == 12
    assert double.__name__ == "double"
