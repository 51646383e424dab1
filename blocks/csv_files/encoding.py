"""In which encoding a text file is written: by its mark, by its bytes, or as the user says."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enrichment.errors import ConfigurationError

SETTING = "ENRICHMENT_CSV_ENCODING"

#: UTF-32 first: its mark begins as UTF-16's does.
_MARKS = {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be", codecs.BOM_UTF8: "utf-8"}
_MARKS |= {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_LABELS = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"}
_LABELS |= {"cp1252": "Windows-1252", "iso8859-1": "Latin-1", "mac-roman": "Mac Roman"}
#: What files of other kinds begin with, that people have in place of a CSV file.
_OTHER_KINDS = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF-": "a PDF file",
    b"<": "a web page or XML",
    b"[{": "JSON",
    b'{"': "JSON",
}
_PART = 1 << 20
#: Bytes to which Windows-1252 gives no character.
_NOT_IN_1252 = (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")


@dataclass(frozen=True, slots=True)
class Encoding:
    """
    How text became bytes.

    Args:
        codec: Python's name.
        mark: bytes before the text, that say so.
        guessed: whether neither the file nor the user says it.
    """

    codec: str
    mark: bytes = b""
    guessed: bool = False

    @property
    def label(self) -> str:
        """Return its name for people."""
        return _LABELS.get(self.codec, self.codec)

    @property
    def for_output(self) -> "Encoding":
        """Return the encoding for what is written beside the text; an old one lacks most of the world's letters."""
        if self.codec.startswith("utf-16"):
            return next(Encoding(codec, mark) for mark, codec in _MARKS.items() if codec == self.codec)
        return self if self.codec == "utf-8" else Encoding("utf-8", codecs.BOM_UTF8)


def find_encoding(path: Path, wanted: str = "") -> Encoding:
    """
    Return a file's encoding; the whole file is read once.

    Args:
        path: of the file.
        wanted: as the user says; empty to find it.

    Raises:
        ConfigurationError: the file is no text, or holds bytes that are none in it; the message names the line.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    for beginning, kind in _OTHER_KINDS.items():
        if start.removeprefix(codecs.BOM_UTF8).lstrip().startswith(beginning):
            raise ConfigurationError(f"{path} is {kind}, not a CSV file: unpack it, or save it as CSV")
    found = _chosen(wanted, start) if wanted else _evident(start)
    if found is not None:
        _check(path, found)
        return found
    return _guess(path)


def _chosen(wanted: str, start: bytes) -> Encoding:
    try:
        codec = codecs.lookup(wanted.strip())
        "a".encode(codec.name)  # there are codecs that make no text
    except LookupError:
        raise ConfigurationError(
            f"{SETTING}: '{wanted}' is not a known encoding: write it as `utf-8`, `utf-16` or `windows-1252`"
        ) from None
    name = codec.name.removesuffix("-sig")
    for mark, marked in _MARKS.items():
        if start.startswith(mark) and marked.startswith(name):
            return Encoding(marked, mark)
    return Encoding("utf-16-le" if name == "utf-16" else name)


def _evident(start: bytes) -> Encoding | None:
    for mark, codec in _MARKS.items():
        if start.startswith(mark):
            return Encoding(codec, mark)
    # Text in Latin letters has a zero in every other byte of UTF-16, and none elsewhere.
    if start.count(0) * 4 > len(start):
        return Encoding("utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be", guessed=True)
    return None


def _guess(path: Path) -> Encoding:
    """Tell UTF-8 from the older encodings, and from itself with some broken lines."""
    fit = broken = 0
    first, line = 0, 1
    undefined = False
    returns = 0
    for text, data in _decoded(path, "utf-8", "surrogateescape"):
        if not text.isascii():
            strange = sum(1 for letter in text if letter > "\x7f")
            lost = sum(1 for letter in text if "\udc80" <= letter <= "\udcff")
            if lost and not broken:
                first = line + text.count(
                    "\n", 0, next(at for at, one in enumerate(text) if "\udc80" <= one <= "\udcff")
                )
            fit, broken = fit + strange - lost, broken + lost
        if not data.isascii():
            undefined = undefined or any(byte in data for byte in _NOT_IN_1252)
        line += text.count("\n")
        returns += text.count("\r")
    if not broken:
        return Encoding("utf-8")
    if fit > broken:
        raise ConfigurationError(
            f"{path}, line {first}: a byte there is not UTF-8, though the rest of the file is: fix the line, or set "
            f"{SETTING}"
        )
    if line == 1 and returns:
        return Encoding("mac-roman", guessed=True)  # line ends of old Macs
    return Encoding("iso8859-1" if undefined else "cp1252", guessed=True)


def _check(path: Path, encoding: Encoding) -> None:
    line = 1
    try:
        for text, _ in _decoded(path, encoding.codec, "strict", skip=len(encoding.mark)):
            line += text.count("\n")
    except UnicodeDecodeError as error:
        line += error.object[: error.start].decode(encoding.codec, "replace").count("\n")
        raise ConfigurationError(
            f"{path}, line {line}: not valid {encoding.label}: fix the line, or set {SETTING} to the right encoding"
        ) from None


def _decoded(path: Path, codec: str, errors: str, *, skip: int = 0) -> Iterator[tuple[str, bytes]]:
    decoder = codecs.getincrementaldecoder(codec)(errors)
    with path.open("rb") as file:
        file.seek(skip)
        while data := file.read(_PART):
            yield decoder.decode(data), data
    yield decoder.decode(b"", final=True), b""
