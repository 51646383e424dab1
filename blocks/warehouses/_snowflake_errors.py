"""
Tells what an error of Snowflake's connector means for us.

The connector's texts repeat statements and values, so that only codes are taken over; a refused sign-in names neither.
"""

from snowflake.connector import errors

from blocks.warehouses._replay import ConflictError
from enrichment.errors import ConfigurationError, ContractError, EnrichmentError, TransientError

#: Unknown table, column, object of any kind; no current database, no current schema.
_NOT_SET_UP = frozenset({2003, 2043, 904, 90105, 90106})
_NO_PRIVILEGE = frozenset({3001, 3003})
_NO_WAREHOUSE = frozenset({606})
#: Too many wait for the lock; the rest is told by words, since the page of codes doesn't list them.
_CONFLICTS = frozenset({625})
#: Codes of the sign-in service, for instance 390100 wrong password, 390144 wrong key, 390189 no such role.
_SIGN_IN = range(390_000, 391_000)
_WRONG_ADDRESS = frozenset({290_403, 290_404})


def explain_sign_in(error: errors.Error) -> EnrichmentError:
    """Say why no session was opened."""
    if error.errno in _SIGN_IN or error.errno in _WRONG_ADDRESS or isinstance(error, errors.ForbiddenError):
        return ConfigurationError(
            f"Snowflake refuses to sign us in (error {error.errno}: {_last_sentence(error)}): check "
            "ENRICHMENT_SNOWFLAKE_ACCOUNT, ENRICHMENT_SNOWFLAKE_USER, ENRICHMENT_SNOWFLAKE_ROLE and the key or password"
        )
    return TransientError(
        f"Snowflake can't be reached (error {error.errno}): check ENRICHMENT_SNOWFLAKE_ACCOUNT and the network"
    )


def explain_statement(error: errors.Error, place: str) -> EnrichmentError:
    """
    Say why a statement failed.

    Args:
        error: the connector's error.
        place: database and schema, for the message.
    """
    facts = f"error {error.errno}, SQLSTATE {error.sqlstate}, query {error.sfqid}"
    if _is_conflict(error):
        return ConflictError(f"Snowflake gave way to another transaction, or answered HTTP 500 ({facts})")
    if not isinstance(error, errors.ProgrammingError) or error.errno in _SIGN_IN:
        return TransientError(f"Snowflake can't be reached or ended our session ({facts})")
    if error.errno in _NOT_SET_UP:
        return ConfigurationError(
            f"the schema {place} is not set up, or our role can't see it ({facts}): run `enrich setup`, "
            "or grant the role what docs/snowflake.md lists"
        )
    if error.errno in _NO_PRIVILEGE or error.sqlstate == "42501":
        return ConfigurationError(
            f"Snowflake refuses our role a privilege on {place} ({facts}): grant it what docs/snowflake.md lists"
        )
    if error.errno in _NO_WAREHOUSE:
        return ConfigurationError(
            f"no virtual warehouse runs our statements ({facts}): check ENRICHMENT_SNOWFLAKE_WAREHOUSE, "
            "and grant our role USAGE on it"
        )
    return ContractError(f"Snowflake did not take a statement ({facts}): its query history has the text")


def _is_conflict(error: errors.Error) -> bool:
    words = (error.msg or "").lower()
    locked = isinstance(error, errors.ProgrammingError) and any(
        sign in words for sign in ("has locked table", "lock timeout", "waiting for lock", "deadlock")
    )
    return locked or error.errno in _CONFLICTS or isinstance(error, errors.InternalServerError)


def _last_sentence(error: errors.Error) -> str:
    # The sentence before it names the host, which may be long.
    return " ".join((error.msg or "").split()).rpartition(". ")[2].rstrip(".")
