"""What image names mean here."""

from __future__ import annotations

from pathlib import Path

import pytest
from podrunner.local.kubelet.images import Image, ImageError, Images, image_id, normal_name


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("airflow", "docker.io/library/airflow:latest"),
        ("airflow:2", "docker.io/library/airflow:2"),
        ("apache/airflow", "docker.io/apache/airflow:latest"),
        ("docker.io/airflow", "docker.io/library/airflow:latest"),
        ("index.docker.io/airflow", "docker.io/library/airflow:latest"),
        ("localhost/pyhost:1", "localhost/pyhost:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("ghcr.io/x/y@sha256:" + "a" * 64, "ghcr.io/x/y@sha256:" + "a" * 64),
    ],
)
def test_names_are_written_out(name, normal):
    assert normal_name(name) == normal


@pytest.mark.parametrize("name", ["", "UPPER", "a b", "a:b:c", "-x", "a/"])
def test_invalid_names_are_refused_in_kubernetes_words(name):
    with pytest.raises(ImageError, match="invalid reference format") as refused:
        normal_name(name)
    assert refused.value.reason == "InvalidImageName"


def test_upper_case_is_explained():
    with pytest.raises(ImageError, match=r"repository name \(library/UPPER\) must be lowercase"):
        normal_name("UPPER:1")


def test_any_name_is_found_unless_strict():
    assert Images().find("whatever:1", "Always") == Image()
    with pytest.raises(ImageError) as refused:
        Images(strict=True).find("whatever:1", "Always")
    assert refused.value.reason == "ErrImagePull"
    with pytest.raises(ImageError) as refused:
        Images(strict=True).find("whatever:1", "Never")
    assert refused.value.reason == "ErrImageNeverPull"


def test_tables_are_written_in_many_ways(tmp_path):
    table = {
        "a": tmp_path,
        "b": str(tmp_path),
        "c": [tmp_path, "relative"],
        "d": {"path": tmp_path, "env": {"A": "1"}, "rootfs": str(tmp_path)},
        "e": Image(cmd=("x",)),
        "mine/*": {"working_dir": "/short"},
        "mine/long-*": {"working_dir": "/long"},
    }
    images = Images(table, strict=True)
    assert images.find("a:latest", "").path == images.find("b", "").path == (tmp_path,)
    assert images.find("c", "").path == (tmp_path, Path("relative").absolute())
    assert images.find("d", "").rootfs == tmp_path
    assert images.find("docker.io/library/e", "").cmd == ("x",)
    assert images.find("mine/any:3", "").working_dir == "/short"
    assert images.find("mine/long-one", "").working_dir == "/long"


@pytest.mark.parametrize(
    ("value", "words"), [(3, "an image is"), ({"paht": "x"}, "unknown fields of an image: paht")]
)
def test_what_is_no_image_is_refused(value, words):
    with pytest.raises(ValueError, match=words):
        Image.of(value)


def test_ids_are_stable_and_by_repository():
    assert image_id("docker.io/library/a:1").startswith("docker.io/library/a@sha256:")
    assert image_id("localhost:5000/a:1").startswith("localhost:5000/a@sha256:")
    assert image_id("a/b:1") == image_id("a/b:1") != image_id("a/b:2")
