"""Which output fields a provider refuses, where its refusal names none: found by free calls with fewer of them."""

from collections.abc import Awaitable, Callable, Sequence

#: Says whether a call with these fields passes.
Passes = Callable[[Sequence[str]], Awaitable[bool]]


async def refused_among(fields: Sequence[str], passes: Passes) -> list[str]:
    """
    Return the fields without which a call passes that doesn't pass with all of them; nothing if it is another matter.

    Args:
        fields: at least two of the spec, in its order.
        passes: makes a free call.
    """
    # If hardly any passes alone, it isn't a few fields that are refused but the form of the request.
    for place in dict.fromkeys((0, len(fields) // 2, len(fields) // 4, len(fields) - 1)):
        if await passes(fields[place : place + 1]):
            break
    else:
        return []
    refused = [name for half in _halves(fields) for name in await _refused(half, passes)]
    kept = [name for name in fields if name not in refused]
    return refused if await passes(kept) else []


async def _refused(fields: Sequence[str], passes: Passes) -> list[str]:
    if await passes(fields):
        return []
    if len(fields) == 1:
        return list(fields)
    return [name for half in _halves(fields) for name in await _refused(half, passes)]


def _halves(fields: Sequence[str]) -> list[Sequence[str]]:
    middle = (len(fields) + 1) // 2
    return [fields[:middle], fields[middle:]]
