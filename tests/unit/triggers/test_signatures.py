"""Signatures: HubSpot's published vectors, and everything that must not pass."""

import pytest

from sandbox.hubspot.signing import sign_v1, sign_v3
from triggers.signatures import (
    CONTACTS_SCHEME,
    STANDARD_SCHEME,
    WINDOW_MS,
    Refusal,
    SignatureRefusedError,
    check_signature,
    hubspot_scheme,
    read_stamp,
)

OLD_SECRET = "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"
SECRET = "test-secret-0001"
URL = "https://hooks.example.com/hubspot/webhook"
NAMES = '[{"propertyName":"firstname","propertyValue":"Zoë"}]'.encode()

#: (secret, URL, time, body, signature): what HubSpot's own client is tested with, and two that cover non-ASCII bytes
#: and the decoding of the URL.
VECTORS = {
    "the client's own": (
        OLD_SECRET,
        "https://www.example.com/webhook_uri",
        1693657560000,
        b"{'example_field':'example_value'}",
        "K36dawei4A+QBNolUOqo7s91KQDWQ5MXZ/QufNYuk/Y=",
    ),
    "bytes beyond ASCII": (SECRET, URL, 1790000001000, NAMES, "VMrEdcH5qO07NrMH4tZcqwz7XjU3UZt1HDQd7f4Kp/c="),
    "an encoded query": (
        SECRET,
        URL + "?src=hs%3Aapp%2Fv3&x=%28a%29",
        1790000001000,
        b"[]",
        "gFXhjsCp9aqr6FJnbbn/md0OSMzX2K35S06xcw0v+l8=",
    ),
}
NOW = 1790000001000
RIGHT = VECTORS["bytes beyond ASCII"][4]


def headers(signature: str = RIGHT, timestamp: object = NOW, **more: str) -> dict[str, str]:
    return {"x-hubspot-signature-v3": signature, "x-hubspot-request-timestamp": str(timestamp), **more}


def check(
    given: dict[str, str],
    *,
    body: bytes = NAMES,
    url: str = URL,
    now: int = NOW,
    secrets: tuple[str, ...] = (SECRET,),
) -> None:
    scheme = hubspot_scheme(url)
    check_signature(scheme, read_stamp(scheme, given, now), body, secrets)


def refusal(given: dict[str, str], **circumstances: object) -> Refusal:
    with pytest.raises(SignatureRefusedError) as raised:
        check(given, **circumstances)
    return raised.value.reason


@pytest.mark.parametrize("name", VECTORS)
def test_the_vectors_hold(name: str) -> None:
    """What is known to be right is let in, and the stand-in signs the same way."""
    secret, url, timestamp, body, signature = VECTORS[name]
    check(headers(signature, timestamp), body=body, url=url, now=timestamp, secrets=(secret,))
    assert sign_v3(secret, url, body, timestamp) == signature


def test_an_undecoded_url_gives_another_signature() -> None:
    """The signature over the URL as it is written, which is wrong, isn't taken for the right one."""
    url, body = VECTORS["an encoded query"][1], b"[]"
    assert refusal(headers("0bjvUUh2xlZemDa/0+ElnLuElauT+fTMMlYZwNXqaEU="), url=url, body=body) == Refusal.WRONG


def test_only_twelve_codes_are_decoded() -> None:
    """A space, a percent sign or a letter stays encoded before signing."""
    kept = URL + "?a=%20b%25%41"
    check(headers(sign_v3(SECRET, kept, NAMES, NOW)), url=kept)
    spelt = URL + "?all=%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B"
    check(headers(sign_v3(SECRET, URL + "?all=:/?@!$'()*,;", NAMES, NOW)), url=spelt)


@pytest.mark.parametrize(
    "flaw",
    [
        {"body": NAMES + b" "},
        {"body": b""},
        {"url": URL + "/"},
        {"url": URL.replace("https", "http")},
        {"url": URL + "?a=1"},
        {"secrets": ("test-secret-0002",)},
        {"secrets": ()},
        {"secrets": ("",)},
    ],
    ids=str,
)
def test_what_was_not_signed_is_refused(flaw: dict[str, object]) -> None:
    """Another body, another URL or another secret gives another signature."""
    assert refusal(headers(), **flaw) == Refusal.WRONG


@pytest.mark.parametrize("signature", [RIGHT[:-1], RIGHT + "=", RIGHT.lower(), "x", "é" * 44, "=", RIGHT[:43] + "é"])
def test_a_signature_is_compared_whole(signature: str) -> None:
    """Half a signature, another case, or letters that base64 doesn't have are wrong, and no error."""
    assert refusal(headers(signature)) == Refusal.WRONG


def test_the_time_is_covered_by_the_signature() -> None:
    """A replay with a newer time doesn't fit."""
    assert refusal(headers(timestamp=NOW + 1)) == Refusal.WRONG


@pytest.mark.parametrize(
    ("shift", "reason"),
    [
        (0, None),
        (WINDOW_MS, None),
        (-WINDOW_MS, None),
        (WINDOW_MS + 1, Refusal.TOO_OLD),
        (-WINDOW_MS - 1, Refusal.AHEAD),
        (10 * WINDOW_MS, Refusal.TOO_OLD),
    ],
)
def test_the_window_is_five_minutes_in_both_directions(shift: int, reason: Refusal | None) -> None:
    """A signature counts up to 300,000 milliseconds before and after our time, both ends included."""
    if reason is None:
        check(headers(), now=NOW + shift)
    else:
        assert refusal(headers(), now=NOW + shift) == reason


@pytest.mark.parametrize("timestamp", ["-1", "1.79e12", " 1790000001000", "1790000001000 ", "٤٢", "0x10", "9" * 17])
def test_a_time_is_plain_digits(timestamp: str) -> None:
    """Signs, points, spaces, other scripts' digits and endless numbers are refused."""
    assert refusal(headers(timestamp=timestamp)) == Refusal.UNREADABLE_TIME


def test_each_missing_part_is_named() -> None:
    """The log says what is missing."""
    assert refusal({}) == Refusal.MISSING
    assert refusal(headers(signature="")) == Refusal.MISSING
    assert refusal(headers(timestamp="")) == Refusal.NO_TIME


@pytest.mark.parametrize(
    ("version", "signature"),
    [
        ("v1", sign_v1(SECRET, NAMES)),
        ("v2", "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900"),
    ],
)
def test_older_versions_alone_are_refused(version: str, signature: str) -> None:
    """The first and second version cover no time, so that a right one could be replayed for ever."""
    old = {"x-hubspot-signature": signature, "x-hubspot-signature-version": version}
    assert refusal({**old, "x-hubspot-request-timestamp": str(NOW)}) == Refusal.OUTDATED
    check({**headers(), **old})


def test_the_stand_in_signs_the_first_version_as_published() -> None:
    """HubSpot's example of the first version, which is sent beside the third."""
    body = (
        b'[{"eventId":1,"subscriptionId":12345,"portalId":62515,"occurredAt":1564113600000,'
        b'"subscriptionType":"contact.creation","attemptNumber":0,"objectId":123,"changeSource":"CRM",'
        b'"changeFlag":"NEW","appId":54321}]'
    )
    assert sign_v1(OLD_SECRET, body) == "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"


def test_either_secret_counts_during_a_rotation() -> None:
    """The new and the previous secret are both in force, wherever they stand."""
    for secrets in ((SECRET, OLD_SECRET), (OLD_SECRET, SECRET), ("", SECRET)):
        check(headers(), secrets=secrets)


def test_contacts_are_signed_over_time_and_body() -> None:
    """Our own scheme, by a signature that openssl made; the time is in seconds."""
    body, now = b'{"crm_id":"501"}', 1_790_000_001_000
    given = {
        "x-enrichment-timestamp": "1790000001",
        "x-enrichment-signature": "sha256=f224599595e422cd3e82be55e88aedb12a3d47598bf2ac2e919691f29fd37af8",
    }
    stamp = read_stamp(CONTACTS_SCHEME, given, now)
    check_signature(CONTACTS_SCHEME, stamp, body, [SECRET])
    for wrong in (body + b" ", b""):
        with pytest.raises(SignatureRefusedError):
            check_signature(CONTACTS_SCHEME, stamp, wrong, [SECRET])
    with pytest.raises(SignatureRefusedError) as raised:
        read_stamp(CONTACTS_SCHEME, given, now + WINDOW_MS + 1)
    assert raised.value.reason == Refusal.TOO_OLD


#: The specification's own example.
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'


def check_standard(
    headers: dict[str, str] = STANDARD, body: bytes = STANDARD_BODY, secrets: tuple[str, ...] = (STANDARD_SECRET,)
) -> None:
    stamp = read_stamp(STANDARD_SCHEME, headers, 1614265330_000)
    check_signature(STANDARD_SCHEME, stamp, body, secrets)


def test_standard_webhooks_are_checked_as_published() -> None:
    """The specification's vector, also among other signatures and beside a secret of another form."""
    check_standard()
    right = STANDARD["webhook-signature"]
    check_standard(
        STANDARD | {"webhook-signature": f"v1,AAAA v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzC {right}"}
    )
    check_standard(secrets=("shared-s3cr3t", STANDARD_SECRET))


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ({"headers": STANDARD | {"webhook-id": "msg_2"}}, Refusal.WRONG),
        ({"headers": STANDARD | {"webhook-id": ""}}, Refusal.NO_ID),
        ({"headers": STANDARD | {"webhook-timestamp": "1614265331"}}, Refusal.WRONG),
        ({"headers": STANDARD | {"webhook-signature": STANDARD["webhook-signature"][3:]}}, Refusal.WRONG),
        ({"headers": STANDARD | {"webhook-signature": "v1," * 5000}}, Refusal.WRONG),
        ({"headers": STANDARD | {"webhook-signature": " "}}, Refusal.WRONG),
        ({"body": STANDARD_BODY + b" "}, Refusal.WRONG),
        ({"secrets": ("whsec_bm90IGxvbmcgZW5vdWdo",)}, Refusal.WRONG),
        ({"secrets": (STANDARD_SECRET.removeprefix("whsec_"), "shared-s3cr3t", "")}, Refusal.WRONG),
    ],
    ids=str,
)
def test_what_is_not_signed_as_standard_webhooks_are_is_refused(flaw: dict[str, object], reason: Refusal) -> None:
    """Id, time, body and the version of the signature count; a secret without its prefix is none of theirs."""
    with pytest.raises(SignatureRefusedError) as raised:
        check_standard(**flaw)
    assert raised.value.reason == reason
