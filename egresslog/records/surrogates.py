r"""Lone surrogates in text: bytes that are no UTF-8, and half characters that a JSON string spells out (``\\ud800``).

Lines are decoded with Python's ``surrogateescape``, which keeps each byte that is no UTF-8 as one of U+DC80 to U+DCFF.
No encoding takes a lone surrogate, so what leaves this package is cleaned first.
"""

from __future__ import annotations

import codecs
import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def _latin1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


# Envoy writes bytes that are no UTF-8 as they are, and as \u00XX into JSON: one reading for both.
codecs.register_error("egresslog", _latin1)


def has_surrogates(text: str) -> bool:
    """Whether a text holds a lone surrogate."""
    return _SURROGATE.search(text) is not None


def clean(text: str) -> str:
    """Text without lone surrogates: those of ``surrogateescape`` become the bytes' Latin-1 characters."""
    if not has_surrogates(text):
        return text
    return _NO_BYTE.sub("\ufffd", text).encode("utf-8", "surrogateescape").decode("utf-8", "egresslog")


def byte_offset(text: str, position: int) -> int:
    """How many bytes of a line the first ``position`` characters are. Half a character counts three, as in CESU-8."""
    before = text[:position]
    try:
        return len(before.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return len(_NO_BYTE.sub("\ufffd", before).encode("utf-8", "surrogateescape"))
