"""Which columns does a handshake fill?  The same for a policy fetch and a STARTTLS session."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any, Final

from crawler.net.tls import TlsFacts

_COLUMNS: Final = tuple(field.name for field in fields(TlsFacts) if field.name != "chain")


def handshake_columns(tls: TlsFacts) -> tuple[dict[str, Any], tuple[bytes, ...]]:
    """The columns of ``records.Conversation`` that *tls* fills, and the certificates (DER, leaf
    first) whose hashes are the column ``chain``.
    """
    columns: dict[str, Any] = {name: getattr(tls, name) for name in _COLUMNS}
    columns["chain"] = tuple(hashlib.sha256(der).hexdigest() for der in tls.chain)
    return columns, tls.chain
