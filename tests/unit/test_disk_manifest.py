"""The record of a copy, written and read."""

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.runner.disk.failure import DamagedError, DiskError
from vtspolicy.runner.disk.manifest import Manifest, from_json

MANIFEST = Manifest(
    handle="42-1",
    path="/VAULT01/PAY/A00017",
    size=1000,
    sha256="ab" * 32,
    mtime_ns=1_795_346_203_955_428_130,
    mode=0o640,
    uid=10,
    gid=20,
    stored=321,
    created="2026-11-22T11:16:44.105016+00:00",
    program="vtspolicy 0.1.0",
)


@given(path=st.text(), size=st.integers(min_value=0))
def test_what_is_written_is_read_again(path, size):
    manifest = evolve(MANIFEST, path=path, size=size)
    assert from_json(manifest.to_json(), "m") == manifest


def test_a_path_that_is_not_unicode_survives():
    manifest = evolve(MANIFEST, path="/V/\udcff")
    assert from_json(manifest.to_json(), "m") == manifest


def test_every_field_is_in_the_file_under_its_name():
    assert json.loads(MANIFEST.to_json()) == {
        "version": 1,
        "handle": "42-1",
        "path": "/VAULT01/PAY/A00017",
        "size": 1000,
        "sha256": "ab" * 32,
        "mtime_ns": 1_795_346_203_955_428_130,
        "mode": 0o640,
        "uid": 10,
        "gid": 20,
        "stored": 321,
        "created": "2026-11-22T11:16:44.105016+00:00",
        "program": "vtspolicy 0.1.0",
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"size": "1000"}, "'size'"),
        ({"size": True}, "'size'"),
        ({"size": -1}, "negative"),
        ({"stored": None}, "'stored'"),
        ({"sha256": "AB" * 32}, "sha256"),
        ({"sha256": "ab"}, "sha256"),
    ],
)
def test_a_field_that_is_wrong_is_named(change, why):
    text = json.dumps(json.loads(MANIFEST.to_json()) | change).encode()
    with pytest.raises(DamagedError, match=why):
        from_json(text, "42-1.json")


def test_a_manifest_of_another_version_is_not_taken_for_a_damaged_one():
    text = json.dumps(json.loads(MANIFEST.to_json()) | {"version": 2}).encode()
    with pytest.raises(DiskError, match="version 2; this program reads 1") as caught:
        from_json(text, "42-1.json")
    assert not isinstance(caught.value, DamagedError)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_what_is_no_manifest_is_said_so_with_its_name(text):
    with pytest.raises(DamagedError, match=r"42-1\.json: not a manifest"):
        from_json(text, "42-1.json")


@pytest.mark.parametrize("length", range(0, len(MANIFEST.to_json()) - 2, 7))
def test_a_manifest_cut_anywhere_is_never_taken_for_one(length):
    with pytest.raises(DamagedError):
        from_json(MANIFEST.to_json()[:length], "m")
