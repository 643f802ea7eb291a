"""The model's name and version out of a gRPC request, without parsing the rest of it.

The process that takes requests must know which worker to give one to; parsing megabytes of tensors for two short
texts would hold up everybody else. Fields are skipped by their lengths.
"""

from typing import Final

from serving.refusals import RefusedError

_NAME: Final = 1
_VERSION: Final = 2
_LONGEST: Final = 256
_MOST_FIELDS: Final = 4096


def model_of(request: bytes) -> tuple[str, str]:
    """Return (name, version) of a serialised ``ModelInferRequest``; the last one counts, as in any protobuf reader.

    Raises:
        RefusedError: the bytes are no such message.
    """
    found = {_NAME: "", _VERSION: ""}
    at, end = 0, len(request)
    for _ in range(_MOST_FIELDS):
        if at >= end:
            return found[_NAME], found[_VERSION]
        tag, at = _varint(request, at)
        field, wire = tag >> 3, tag & 7
        if wire == 2:
            length, at = _varint(request, at)
            if at + length > end:
                raise _broken()
            if field in found:
                found[field] = _text(request[at : at + length])
            at += length
        elif wire == 0:
            _, at = _varint(request, at)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _broken()
    raise _broken()


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data) and shift < 64:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _broken()


def _text(data: bytes) -> str:
    try:
        return data[:_LONGEST].decode()
    except UnicodeDecodeError as error:
        raise _broken() from error


def _broken() -> RefusedError:
    return RefusedError(400, "bad_message", "the bytes are no ModelInferRequest")
