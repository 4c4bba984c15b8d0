from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_nb.errors import DamagedError, NotFoundError
from durable_nb.store.index import PackIndex
from durable_nb.store.objects import LocalFolder
from durable_nb.store.packs import PACK, ROW_GROUP, Compression, build, digest_of

CHUNKS = [b"", b"a", b"abc" * 100_000, os.urandom(200_000), b"0" * 255, b"0" * 256]


def _store(objects: LocalFolder, chunks: list[bytes], compression: Compression = "lz4") -> list[str]:
    keys = []
    for pack in build([(digest_of(c), c) for c in chunks], compression):
        objects.put(pack.key, pack.data)
        keys.append(pack.key)
    return keys


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
def test_chunks_come_back_as_they_were(objects: LocalFolder, compression: Compression) -> None:
    (key,) = _store(objects, CHUNKS, compression)
    found = dict(PackIndex(objects).read([digest_of(c) for c in CHUNKS] * 2))
    assert {d: bytes(data) for d, data in found.items()} == {digest_of(c): c for c in CHUNKS}
    size = objects.size(key)
    assert (size > 500_000) if compression == "none" else (size < 250_000)
    assert key == f"packs/{digest_of(objects.get(key))[:32]}.parquet"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=2000), unique=True), st.sampled_from(["lz4", "zstd", "none"]))
def test_any_bytes_come_back(chunks: list[bytes], compression: Compression) -> None:
    with tempfile.TemporaryDirectory() as folder:
        objects = LocalFolder(Path(folder) / "store")
        _store(objects, chunks, compression)
        found = PackIndex(objects).read([digest_of(c) for c in chunks])
        assert {bytes(data) for _, data in found} == set(chunks)


def test_packs_and_row_groups_stay_small(objects: LocalFolder) -> None:
    chunks = [os.urandom(1 << 20) for _ in range(40)]
    keys = _store(objects, chunks)
    assert len(keys) == 2
    for key in keys:
        assert objects.size(key) < PACK + (1 << 20)
        about = pq.ParquetFile(objects.path / key).metadata
        assert all(
            about.row_group(i).total_byte_size <= ROW_GROUP + 4096 for i in range(about.num_row_groups)
        )
        assert about.row_group(0).column(3).compression == "UNCOMPRESSED"
        assert about.row_group(0).column(3).statistics is None
    index = PackIndex(objects)
    assert [bytes(d) for _, d in index.read([digest_of(chunks[-1])])] == chunks[-1:]


def test_a_pack_is_plain_parquet_that_others_can_read(objects: LocalFolder) -> None:
    (key,) = _store(objects, [b"x" * 10])
    table = pq.read_table(objects.path / key)
    assert table.column_names == ["digest", "codec", "size", "data"]
    assert table.to_pylist() == [
        {"digest": bytes.fromhex(digest_of(b"x" * 10)), "codec": "raw", "size": 10, "data": b"x" * 10}
    ]


def test_a_pack_that_appears_later_is_found(objects: LocalFolder) -> None:
    index = PackIndex(objects)
    _store(objects, [b"one"])
    assert dict(index.read([digest_of(b"one")]))
    keys = _store(objects, [b"two"])
    assert dict(index.read([digest_of(b"two")], hint=keys))
    with pytest.raises(NotFoundError, match="in no pack"):
        dict(index.read([digest_of(b"three")]))


def test_a_chunk_that_moved_to_another_pack_is_found_there(objects: LocalFolder) -> None:
    index = PackIndex(objects)
    (old,) = _store(objects, [b"one", b"two"])
    index.refresh()
    (new,) = _store(objects, [b"one"])
    objects.delete(old)
    index._open.clear()
    assert dict(index.read([digest_of(b"one")]))
    assert index.find(digest_of(b"one")) == new
    with pytest.raises(NotFoundError):
        dict(index.read([digest_of(b"two")]))


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_damaged_chunk_is_named_and_its_copy_used(objects: LocalFolder) -> None:
    data = os.urandom(1000)
    (key,) = _store(objects, [data])
    path = objects.path / key
    _flip(path, path.read_bytes().index(data) + 500)
    with pytest.raises(DamagedError, match=f"{digest_of(data)} in {key}"):
        dict(PackIndex(objects).read([digest_of(data)]))
    assert PackIndex(objects).damages(key) == []
    index = PackIndex(objects)
    index.refresh()
    assert len(index.damages(key)) == 1
    _store(objects, [data])
    assert [bytes(d) for _, d in PackIndex(objects).read([digest_of(data)])] == [data]


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_pack_is_damage_and_not_absence(objects: LocalFolder, keep: int) -> None:
    (key,) = _store(objects, [b"x" * 1000])
    path = objects.path / key
    path.write_bytes(path.read_bytes()[:keep])
    index = PackIndex(objects)
    with pytest.raises(DamagedError, match=key):
        dict(index.read([digest_of(b"x" * 1000)]))
    assert list(index.damaged) == [key]
