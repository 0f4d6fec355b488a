"""An object store, as far as an archive needs it: octets under keys, and who was first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.snapshot.address import Address
from crawler.snapshot.objects import Objects
from crawler.snapshot.patience import Patience, StorageError
from crawler.snapshot.store import StoreError
from tests.storage.servers import Store, Weather


@pytest.fixture
def objects(store: Store, prefix: str) -> Objects:
    return Objects(store.url(prefix))


@pytest.mark.parametrize(
    ("url", "bucket", "prefix", "endpoint", "region"),
    [
        ("s3://b", "b", "", None, None),
        ("s3://b/a/c/", "b", "a/c", None, None),
        ("s3://b/a?region=eu-north-1", "b", "a", None, "eu-north-1"),
        ("s3://b/a?endpoint_override=h:1", "b", "a", "https://h:1", None),
        ("s3://b/a?scheme=http&endpoint_override=h:1", "b", "a", "http://h:1", None),
    ],
)
def test_an_address_says_where_the_store_is(
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    bucket: str,
    prefix: str,
    endpoint: str | None,
    region: str | None,
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    expected = Address(bucket=bucket, prefix=prefix, endpoint=endpoint, region=region)
    assert Address.parse(url) == expected


def test_what_an_address_leaves_open_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://all.example")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "here")
    assert Address.parse("s3://b/p").endpoint == "https://all.example"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
    monkeypatch.setenv("AWS_REGION", "there")
    assert Address.parse("s3://b/p").endpoint == "https://s3.example"
    assert Address.parse("s3://b/p").region == "there"
    assert Address.parse("s3://b/p?endpoint_override=mine&region=x").endpoint == "https://mine"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://", "names no bucket"),
        ("s3://b/p?password=1", "unknown option 'password'; the options are endpoint_override"),
        ("s3://key:secret@b/p", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as refused:
        Address.parse(url)
    assert "secret" not in str(refused.value).replace("SECRET", "")


def test_octets_come_back_as_they_were_put(objects: Objects, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)
    objects.put("a/small", b"octets")
    objects.put_file("a/b=1/large", large)
    assert objects.sizes() == {"a/small": 6, "a/b=1/large": 12_800_000}
    assert objects.sizes("a/b=1/") == {"a/b=1/large": 12_800_000}
    assert objects.at("a/").folders() == ["b=1"]
    assert objects.read("a/small") == b"octets"
    assert objects.fetch("a/b=1/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    objects.put("a/small", b"other")
    assert objects.at("a/").read("small") == b"other"
    objects.delete(["a/small", "a/b=1/large", "never"])
    assert objects.sizes() == {}


def test_what_is_not_there_is_said_so(objects: Objects, tmp_path: Path) -> None:
    assert objects.sizes() == {}
    assert objects.folders() == []
    assert objects.read("nothing") is None
    assert not objects.fetch("nothing", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_of_many_that_put_at_the_same_moment_one_is_first(objects: Objects) -> None:
    """Each with octets of its own, from a barrier; several times, since a race needs luck."""
    assert objects.conditional
    for turn in range(2):
        together = threading.Barrier(8)
        won: list[bytes] = []

        def put(data: bytes, key: str, together: threading.Barrier, won: list[bytes]) -> None:
            together.wait()
            if objects.put_new(key, data):
                won.append(data)

        threads = [
            threading.Thread(target=put, args=(b"%d" % n, f"first-{turn}", together, won))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [objects.read(f"first-{turn}")]


def test_what_was_put_again_after_a_lost_answer_is_still_ours(stormy: Weather, prefix: str) -> None:
    objects = Objects(stormy.url(prefix))
    assert objects.conditional
    fates = iter(["lost"])
    stormy.fate = lambda head: next(fates, "pass") if head.startswith(b"PUT") else "pass"
    assert objects.put_new("marker", b"mine")
    assert not objects.put_new("marker", b"yours")
    assert objects.read("marker") == b"mine"


def test_only_what_was_read_is_replaced(objects: Objects) -> None:
    objects.put("manifest", b"one")
    assert objects.replace("manifest", b"one", b"two")
    assert objects.replace("manifest", b"one", b"two")  # as after a lost answer
    assert not objects.replace("manifest", b"one", b"three")
    assert objects.read("manifest") == b"two"


def test_a_store_without_conditions_is_found_out(stormy: Weather, prefix: str) -> None:
    stormy.fate = lambda _: "forget"
    objects = Objects(stormy.url(prefix))
    assert not objects.conditional
    assert objects.put_new("marker", b"mine")
    assert not objects.put_new("marker", b"yours")
    assert objects.read("marker") == b"mine"
    assert objects.sizes() == {"marker": 4}, "the probe is gone"


def test_a_store_that_does_not_know_the_header_is_found_out(stormy: Weather, prefix: str) -> None:
    stormy.fate = lambda head: "501" if b"if-none-match" in head.lower() else "pass"
    objects = Objects(stormy.url(prefix))
    assert not objects.conditional
    assert objects.put_new("marker", b"mine")
    assert not objects.put_new("marker", b"yours")


def test_a_number_in_a_name_is_no_answer(stormy: Weather, prefix: str) -> None:
    troubles = iter(["503"])
    stormy.fate = lambda _: next(troubles, "pass")
    assert Objects(stormy.url(f"{prefix}-501")).conditional


@pytest.mark.parametrize("trouble", ["cut", "lost", "429"])
def test_a_store_in_trouble_is_asked_again(
    stormy: Weather, prefix: str, tmp_path: Path, trouble: str
) -> None:
    said: list[str] = []
    objects = Objects(stormy.url(prefix), say=said.append)
    assert objects.conditional
    left = 0

    def fate(_: bytes) -> str:
        nonlocal left
        left -= 1
        return trouble if left >= 0 else "pass"

    stormy.fate = fate
    (tmp_path / "part").write_bytes(b"octets")
    requests: tuple[tuple[Callable[[], object], object], ...] = (
        (lambda: objects.put_file("part", tmp_path / "part"), None),
        (lambda: objects.put("state", b"1"), None),
        (lambda: objects.put_new("marker", b"mine"), True),
        (lambda: objects.replace("marker", b"mine", b"still mine"), True),
        (lambda: objects.read("marker"), b"still mine"),
        (lambda: objects.fetch("part", tmp_path / "copy"), True),
        (objects.sizes, {"part": 6, "state": 1, "marker": 10}),
        (lambda: objects.delete(["part", "state", "marker"]), None),
        (objects.sizes, {}),
    )
    for number, (request, expected) in enumerate(requests):
        left = 1 + (number == 2)
        assert request() == expected
        assert left < 0
    assert said == [], "nobody needs to know of so little"


def test_a_store_that_stays_silent_is_given_up_once_for_all_requests(
    stormy: Weather, prefix: str
) -> None:
    said: list[str] = []
    objects = Objects(stormy.url(prefix), patience=0.8, say=said.append)
    stormy.fate = lambda _: "503"
    with pytest.raises(
        StorageError, match=r"has not answered for 0.8 s .*503.*kept on this machine"
    ):
        objects.read("key")
    (sentence,) = said
    assert sentence.startswith(f"s3://census/{prefix} does not answer (")
    assert sentence.endswith("asking again for 0.8 s at the most")
    asked = len(stormy.requests)
    assert asked > 1
    with pytest.raises(StorageError):
        objects.put("key", b"1")
    assert len(stormy.requests) == asked + 1
    stormy.fate = lambda _: "pass"
    assert objects.put_new("key", b"1")


def test_a_store_that_nobody_runs_is_given_up(aws: object) -> None:
    with pytest.raises(StorageError, match="has not answered"):
        Objects(Store(1).url("p"), patience=0.2).read("key")


@pytest.mark.parametrize("status", ["400", "401", "403"])
def test_what_a_store_refuses_is_not_asked_again(stormy: Weather, prefix: str, status: str) -> None:
    objects = Objects(stormy.url(prefix))
    stormy.fate = lambda _: status
    with pytest.raises(StoreError, match="refuses: ") as refused:
        objects.sizes()
    assert not isinstance(refused.value, StorageError)
    assert len(stormy.requests) == 1
    with pytest.raises(StoreError, match="refuses"):
        objects.put_new("key", b"1")


def test_a_bucket_that_is_not_there_is_said_so(moto_store: Store) -> None:
    objects = Objects(moto_store.url("p", bucket="no-such-bucket"))
    with pytest.raises(StoreError, match=r"refuses: .*(bucket|Bucket)"):
        objects.put_new("key", b"1")


def test_a_full_disk_is_this_machine_s_fault(objects: Objects) -> None:
    objects.put("large", b"octets" * 10_000)
    with pytest.raises(OSError, match="No space left") as full:
        objects.fetch("large", Path("/dev/full"))
    assert not isinstance(full.value, StoreError)


def test_an_answer_to_one_request_ends_the_silence_for_another_that_waits() -> None:
    """It comes at the very moment at which the other one is told of the silence."""
    told: list[str] = []

    def say(sentence: str) -> None:
        told.append(sentence)
        assert patience(lambda: "answered") == "answered"

    def request() -> str:
        if not told:
            raise OSError("cut")
        return "answered too"

    patience = Patience("s3://b", 60.0, say)
    assert patience(request) == "answered too"
    assert len(told) == 1
