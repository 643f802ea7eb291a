"""Delimited text: its encoding, its delimiter, its rows.

An encoding that decodes every byte (Latin-1) proves nothing, so none such is ever chosen: UTF-8 and UTF-16 prove
themselves, GB18030 is believed only when what it yields is Chinese. A row that does not split like the header is
set aside; when most rows do not, the file is refused, because that is what a decimal comma in a comma-separated
file looks like.
"""

import csv
import io
import unicodedata
from collections import Counter
from collections.abc import Collection

from features.errors import ContractError, MappingError
from features.tables.findings import Fault, Finding

DELIMITERS = (",", ";", "\t", "|")
_ANY_BYTE = {"latin-1", "latin1", "iso-8859-1", "iso8859-1", "cp1252", "windows-1252"}
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SAMPLE = 200
_MOST = 0.5

Line = tuple[int, list[str]]


def header_name(name: object) -> str:
    """Return a header as it is compared: full-width forms folded, blanks and line breaks collapsed.

    >>> header_name(" 运行时间（分） ")
    '运行时间(分)'
    """
    return " ".join(unicodedata.normalize("NFKC", str(name)).split())


def decode(data: bytes, declared: str | None, source: str) -> tuple[str, str, tuple[Finding, ...]]:
    """Return the text of ``data``, the encoding it is in, and remarks.

    Raises:
        MappingError: the declared encoding does not decode the bytes or decodes anything, or none proves itself.
    """
    encoding = declared or _detected(data, source)
    if declared is not None and declared.lower().replace("_", "-") in _ANY_BYTE:
        _refuse_any_byte(data, declared, source)
    if encoding.lower().replace("-", "") == "utf8" and data.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise MappingError(f"{source}: encoding {encoding!r} is unknown; use a Python codec name") from error
    except UnicodeDecodeError as error:
        raise MappingError(
            f"{source} is not {encoding}: byte {error.start} is {data[error.start]:#04x}; declare its encoding"
        ) from error
    return text, encoding, _line_end_note(text, source)


def _detected(data: bytes, source: str) -> str:
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig"
    if data.startswith(_UTF16_MARKS):
        return "utf-16"
    even, odd = data[0:4096:2].count(0), data[1:4096:2].count(0)
    half = max(1, min(len(data), 4096) // 2)
    if max(even, odd) > 0.3 * half and min(even, odd) < 0.05 * half:
        return "utf-16-be" if even > odd else "utf-16-le"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _chinese_or_refuse(data, source)
    return "utf-8"


def _chinese_or_refuse(data: bytes, source: str) -> str:
    """Return gb18030 where it yields Chinese and nothing else; bytes of a Western code page do not."""
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    foreign = [char for char in text if ord(char) > 127 and not _is_chinese_text(char)]
    if not text or foreign:
        raise MappingError(
            f"{source}: neither UTF-8, UTF-16 nor GB18030; declare its encoding, or save it as UTF-8"
        )
    return "gb18030"


def _is_chinese_text(char: str) -> bool:
    # GB 2312's level-1 and level-2 characters, full-width forms, CJK punctuation and the signs reports use.
    if char in "°±·×÷µ‰℃℉Ω①②③④⑤≤≥—…“”‘’":
        return True
    name = unicodedata.name(char, "")
    if name.startswith("CJK UNIFIED"):
        try:
            char.encode("gb2312")
        except UnicodeEncodeError:
            return False
        return True
    return name.startswith(("CJK", "IDEOGRAPHIC", "FULLWIDTH", "GREEK"))


def _refuse_any_byte(data: bytes, declared: str, source: str) -> None:
    if data.isascii():
        return
    try:
        better = _detected(data, source)
    except MappingError:
        return
    raise MappingError(
        f"{source}: {declared} decodes any bytes, right or wrong, and these are {better}; declare that instead"
    )


def _line_end_note(text: str, source: str) -> tuple[Finding, ...]:
    crlf = text.count("\r\n")
    kinds = {"CRLF": crlf, "LF": text.count("\n") - crlf, "CR": text.count("\r") - crlf}
    used = {name: count for name, count in kinds.items() if count}
    if len(used) < 2:
        return ()
    said = ", ".join(f"{count} {name}" for name, count in used.items())
    return (
        Finding(
            "mixed_line_ends",
            "info",
            "",
            "",
            f"{source}: mixed line ends ({said})",
            f"{source}：换行符混用（{said}）",
            used,
        ),
    )


def delimiter_of(text: str, expected: Collection[str], source: str) -> str:
    """Return the delimiter that finds the expected headers.

    Raises:
        MappingError: no delimiter splits the file into columns, or two do equally well.
    """
    scores: dict[str, tuple[int, int]] = {}
    for candidate in DELIMITERS:
        lines = [row for _, row in _split(text, candidate, source, _SAMPLE)]
        found = max(
            (len({header_name(cell) for cell in row} & set(expected)) for row in lines[:20]), default=0
        )
        width = max((len(row) for row in lines[:20]), default=0)
        if width > 1:
            scores[candidate] = (found, width if found == 0 else 0)
    if not scores:
        raise MappingError(f"{source}: none of {DELIMITERS} splits it into columns; declare its delimiter")
    best = max(scores.values())
    chosen = [candidate for candidate, score in scores.items() if score == best]
    if len(chosen) > 1:
        raise MappingError(f"{source}: delimiters {chosen} split it equally well; declare one")
    return chosen[0]


def rows_of(
    text: str, delimiter: str, source: str, header_row: int | None, expected: Collection[str]
) -> tuple[list[Line], list[Fault], list[Finding]]:
    """Return the header and the rows that split like it, those that do not, and remarks.

    Raises:
        ContractError: quoting is broken, there is no row, or most rows do not split like the header.
    """
    lines = _split(text, delimiter, source, None)
    top = _header_place(lines, header_row, expected)
    if not lines[top + 1 :]:
        raise ContractError(f"{source} has a header but no rows; export it again")
    width = len(lines[top][1])
    kept: list[Line] = [lines[top]]
    faults: list[Fault] = []
    unended = not text.endswith(("\n", "\r"))
    damaged = "\0" in text
    for place, (number, cells) in enumerate(lines[top + 1 :], start=top + 1):
        if len(cells) > width:
            cells = cells[:width] + [
                cell for cell in cells[width:] if cell.strip()
            ]  # delimiters at the line's end
        if damaged and any("\0" in cell for cell in cells):
            faults.append(
                _fault(source, number, cells, "nul", "the row holds NUL bytes: the file is damaged here")
            )
        elif not any(cell.strip() for cell in cells):
            kept.append((number, [""] * width))
        elif len(cells) == width:
            kept.append((number, cells))
        else:
            last = place == len(lines) - 1 and unended and len(cells) < width
            rule = "truncated" if last else "ragged"
            reason = f"{len(cells)} fields where the header has {width}" + (
                ", and no line end" if last else ""
            )
            faults.append(_fault(source, number, cells, rule, reason))
    _refuse_mostly_ragged(faults, len(lines) - top - 1, delimiter, source)
    notes = []
    if unended and kept[-1][0] == lines[-1][0]:
        said = (
            f"{source}: the last line has no line end; if the export was cut, its last value may be too short"
        )
        notes.append(
            Finding("unended_last_line", "info", "", "", said, f"{source}：末行无换行符，末值可能被截断", {})
        )
    return kept, faults, notes


def _split(text: str, delimiter: str, source: str, limit: int | None) -> list[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=limit is None)
    lines: list[Line] = []
    try:
        for cells in reader:
            lines.append((reader.line_num, cells or [""]))
            if limit is not None and len(lines) >= limit:
                break
    except csv.Error as error:
        if limit is None:
            raise ContractError(f"{source}, line {reader.line_num}: {error}; export it again") from error
    if not lines:
        raise ContractError(f"{source} is empty; export it again")
    return lines


def _header_place(lines: list[Line], header_row: int | None, expected: Collection[str]) -> int:
    if header_row is not None:
        return min(header_row, len(lines)) - 1
    counts = [len({header_name(cell) for cell in cells} & set(expected)) for _, cells in lines[:20]]
    return counts.index(max(counts))


def _fault(source: str, number: int, cells: list[str], rule: str, reason: str) -> Fault:
    shown = "|".join(cells).replace("\0", "\\0")
    return Fault(source, "", number, "", shown[:80], rule, reason)


def _refuse_mostly_ragged(faults: list[Fault], rows: int, delimiter: str, source: str) -> None:
    ragged = [fault for fault in faults if fault.rule in ("ragged", "truncated")]
    if len(ragged) > _MOST * rows:
        common = Counter(fault.reason for fault in ragged).most_common(1)[0][0]
        hint = "; a decimal comma in a comma-separated file looks like this" if delimiter == "," else ""
        raise ContractError(
            f"{source}: {len(ragged)} of {rows} rows do not split like the header ({common}){hint};"
            " declare delimiter and decimal, or export it with another delimiter"
        )
