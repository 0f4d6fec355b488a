"""Where an object store is: ``s3://BUCKET/PREFIX``, and what the environment says beside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from crawler.snapshot.store import StoreError

SCHEME: Final = "s3://"
OPTIONS: Final = ("endpoint_override", "region", "scheme")
"""What may stand behind the ``?`` of an address: a part of what ``pyarrow.fs`` takes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A bucket, a prefix in it, and where the store is."""

    bucket: str
    prefix: str
    """Without a slash at either end; empty for the whole bucket."""
    endpoint: str | None
    """URL of a store that is not Amazon's."""
    region: str | None

    def __str__(self) -> str:
        """As people know it: without what says how to get there."""
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def parse(cls, url: str) -> Address:
        """Read ``s3://bucket/prefix?endpoint_override=host:port&scheme=http&region=...``.

        What the address leaves open stands in ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``,
        ``AWS_REGION`` and ``AWS_DEFAULT_REGION``.  Raises ``StoreError`` for what cannot be read.
        """
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := sorted(set(options).difference(OPTIONS)):
            raise StoreError(
                f"{url}: unknown option {unknown[0]!r}; the options are {', '.join(OPTIONS)}"
            )
        if "@" in parts.netloc:
            raise StoreError(
                f"an address of a store is written down and shown, so it has no keys: give those of "
                f"{SCHEME}{parts.netloc.rpartition('@')[2]} in AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or in a profile"
            )
        if not parts.netloc:
            raise StoreError(f"{url} names no bucket; write s3://bucket/prefix")
        endpoint = options.get("endpoint_override", "")
        if endpoint:
            endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
        variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        return cls(
            bucket=parts.netloc,
            prefix=parts.path.strip("/"),
            endpoint=endpoint or next(filter(None, map(os.environ.get, variables)), None),
            region=options.get("region")
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION"),
        )


def is_remote(location: object) -> bool:
    """Whether a location is in an object store."""
    return isinstance(location, str) and location.startswith(SCHEME)
