"""What a tar stream may do to the folder it is unpacked in, and what a packed one holds."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from podrunner.cli.archive import COMPLETE, CONTENT, pack, unpack, unpack_file
from podrunner.errors import UsageError

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="Python before 3.11.4 cannot unpack safely; cp says so"
)


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", *, mode: int = 0o644
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, mode
    return member


def _stream(*members: tarfile.TarInfo | tuple[str, bytes]) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for each in members:
            if isinstance(each, tuple):
                member = _member(each[0])
                member.size = len(each[1])
                tar.addfile(member, io.BytesIO(each[1]))
            else:
                tar.addfile(each)
    made.seek(0)
    return made


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder, with a neighbour that nothing may touch."""
    (tmp_path / "secret").write_text("untouched")
    made = tmp_path / "partial"
    made.mkdir()
    return made


def _outside(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir())


TOP = _member("./top", tarfile.DIRTYPE, mode=0o755)


def test_a_folder_is_unpacked_without_its_own_name(folder) -> None:
    tree = _stream(
        TOP, ("./top/a file\nwith lines", b"1"), _member("./top/sub", tarfile.DIRTYPE), ("./top/sub/ö", b"")
    )
    copied = unpack(tree, folder, top="top")
    assert (copied.files, copied.size, copied.left_out) == (2, 1, [])
    assert (folder / CONTENT / "a file\nwith lines").read_text() == "1"
    assert (folder / CONTENT / "sub" / "ö").read_bytes() == b""


def test_a_file_becomes_the_content_itself(folder) -> None:
    assert unpack(_stream(("./top", b"text")), folder, top="top").files == 1
    assert (folder / CONTENT).read_bytes() == b"text"


def test_the_content_of_a_folder_has_no_name(folder) -> None:
    copied = unpack(_stream(_member(".", tarfile.DIRTYPE), ("./a", b"1"), ("b", b"2")), folder, top="")
    assert copied.files == 2
    assert sorted(path.name for path in (folder / CONTENT).iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    "hostile",
    [
        ("../secret", b"overwritten"),
        ("./top/../../secret", b"overwritten"),
        ("/top/secret", b"overwritten"),
        ("other", b"not asked for"),
        ("./top/" + "d/" * 2100 + "x", b"longer than a path may be"),
        _member("./top/out", tarfile.SYMTYPE, "../../secret"),
        _member("./top/out", tarfile.SYMTYPE, "/etc/passwd"),
        _member("./top/out", tarfile.LNKTYPE, "../secret"),
        _member("./top/out", tarfile.LNKTYPE, "/etc/passwd"),
        _member("./top/device", tarfile.CHRTYPE),
        _member("./top/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda each: (each[0] if isinstance(each, tuple) else f"{each.name} {each.linkname}")[:30],
)
def test_what_leads_outside_is_left_out_and_named(folder, hostile) -> None:
    """Path traversal, links that lead outside, special files: nothing outside is written, the rest is there."""
    copied = unpack(_stream(TOP, hostile, ("./top/good", b"good")), folder, top="top")
    assert len(copied.left_out) == 1
    assert [path.name for path in (folder / CONTENT).iterdir()] == ["good"]
    assert (folder.parent / "secret").read_text() == "untouched"
    assert _outside(folder) == ["partial", "secret"]


def test_nothing_is_written_through_a_link(folder) -> None:
    """Also not through one that leads to an allowed place: no tar of a real folder does that."""
    inside = _member("./top/link", tarfile.SYMTYPE, "sub")
    tree = _stream(TOP, _member("./top/sub", tarfile.DIRTYPE), inside, ("./top/link/x", b"x"))
    copied = unpack(tree, folder, top="top")
    assert len(copied.left_out) == 1
    assert str((folder / CONTENT / "link").readlink()) == "sub"
    assert list((folder / CONTENT / "sub").iterdir()) == []


def test_a_hard_link_to_a_link_is_left_out(folder) -> None:
    """The link leads inside from where it is, and outside from where the hard link would be."""
    tree = _stream(
        TOP,
        _member("./top/a", tarfile.DIRTYPE, mode=0o755),
        _member("./top/a/up", tarfile.SYMTYPE, "../x"),
        _member("./top/up", tarfile.LNKTYPE, "./top/a/up"),
    )
    assert len(unpack(tree, folder, top="top").left_out) == 1
    assert not os.path.lexists(folder / CONTENT / "up")


def test_links_within_the_folder_are_kept(folder) -> None:
    tree = _stream(
        TOP,
        ("./top/file", b"text"),
        _member("./top/hard", tarfile.LNKTYPE, "./top/file"),
        _member("./top/soft", tarfile.SYMTYPE, "file"),
    )
    assert unpack(tree, folder, top="top").left_out == []
    assert (folder / CONTENT / "hard").samefile(folder / CONTENT / "file")
    assert str((folder / CONTENT / "soft").readlink()) == "file"


def test_a_link_in_the_place_of_what_was_asked_for_is_named_with_its_target(folder) -> None:
    copied = unpack(_stream(_member("./top", tarfile.SYMTYPE, "real")), folder, top="top")
    assert "a link to real" in copied.left_out[0]
    assert list(folder.iterdir()) == []


def test_privileges_are_not_taken_over(folder) -> None:
    unpack(_stream(_member("./top", mode=0o6777)), folder, top="top")
    assert (folder / CONTENT).stat().st_mode & 0o7022 == 0


def test_a_stream_that_breaks_off_is_an_error(folder) -> None:
    whole = _stream(TOP, ("./top/a", b"x" * 5000)).getvalue()
    with pytest.raises(tarfile.TarError):
        unpack(io.BytesIO(whole[:3000]), folder, top="top")
    with pytest.raises(tarfile.TarError):
        unpack(io.BytesIO(b"tar: no such file\n"), folder, top="top")


def test_one_file_goes_to_a_stream() -> None:
    target = io.BytesIO()
    assert unpack_file(_stream(("./top", b"text" * 20_000)), target).size == 80_000
    assert target.getvalue() == b"text" * 20_000
    with pytest.raises(UsageError, match="only one file"):
        unpack_file(_stream(TOP), io.BytesIO())


def _packed(source) -> dict[str, tarfile.TarInfo]:
    made = io.BytesIO()
    pack(source, made)
    made.seek(0)
    with tarfile.open(fileobj=made, mode="r|") as tar:
        return {member.name: member for member in tar}


def test_a_packed_folder_ends_with_a_mark_and_has_no_owners(tmp_path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ("long" * 40)).write_text("x")
    (tree / "link").symlink_to("/anywhere")
    packed = _packed(tree)
    assert list(packed) == [CONTENT, f"{CONTENT}/link", f"{CONTENT}/{'long' * 40}", COMPLETE]
    assert {(member.uid, member.gid, member.uname, member.gname) for member in packed.values()} == {
        (0, 0, "", "")
    }
    assert packed[f"{CONTENT}/link"].linkname == "/anywhere"


def test_a_link_to_a_file_is_packed_as_the_file(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    assert _packed(tmp_path / "link")[CONTENT].isfile()


def test_an_open_file_is_packed_with_its_size() -> None:
    assert _packed(io.BytesIO(b"12345"))[CONTENT].size == 5


def test_pipes_are_left_out_and_named(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    copied = pack(tmp_path, io.BytesIO())
    assert (copied.files, len(copied.left_out)) == (1, 1)
    with pytest.raises(UsageError, match="neither"):
        pack(tmp_path / "pipe", io.BytesIO())
