"""What a credit of each provider costs, as a user writes it down."""

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from enrichment.errors import ConfigurationError
from enrichment.estimate import Price


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    price: float = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class _Book(RootModel[dict[str, _Entry]]):
    pass


def read_price_book(path: Path | None) -> dict[str, Price]:
    """
    Return the price of a credit by provider; nothing without a file.

    The file is YAML, such as `zoominfo: {price: 0.45, currency: EUR}`.

    Raises:
        ConfigurationError: the file can't be read, or an entry is wrong; the message names it.
    """
    if path is None:
        return {}
    try:
        book = _Book.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(f"the price book {path} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(f"the price book {path} is not valid YAML") from None
    except ValidationError as error:
        flaw = error.errors(include_input=False, include_url=False)[0]
        raise ConfigurationError(
            f"the price book {path}: {'.'.join(map(str, flaw['loc'])) or 'the whole file'}: {flaw['msg']}; write each "
            "provider as `zoominfo: {price: 0.45, currency: EUR}`"
        ) from None
    return {provider: Price(entry.price, entry.currency) for provider, entry in book.root.items()}
