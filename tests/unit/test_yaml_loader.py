"""A YAML file whose aliases repeat each other is refused at once, as by Go's YAML, wherever a person's file is read."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from podrunner.config.loading import load_file
from podrunner.errors import ConfigError, SpecError
from podrunner.kube.kubeconfig import context_names
from podrunner.workload import Workload
from podrunner.yaml_loader import MAX_REPEATED, BoundedLoader


def _nested(form: str, *, levels: int = 10, aliases: int = 9) -> str:
    """Return lines that name each other: ``a``, ``b`` of many ``a``, ``c`` of many ``b``."""
    names = "abcdefghijklmnopqrstuvwxyz"[:levels]
    lines = [f"{names[0]}: &{names[0]} {{x: y}}"]
    for before, name in pairwise(names):
        lines.append(f"{name}: &{name} " + form.format(", ".join([f"*{before}"] * aliases)))
    return "\n".join(lines)


BOMBS = [_nested("[{}]"), _nested("{{<<: [{}]}}")]
OWN = "a: &a [*a]"


@pytest.mark.parametrize("content", [*BOMBS, OWN])
def test_a_workload_of_aliases_of_aliases_is_refused(tmp_path, content):
    path = tmp_path / "w.yaml"
    path.write_text(f"image: i\n{content}\n")
    with pytest.raises(SpecError, match=r"is malformed: line .*(repeat|contains itself)"):
        Workload.from_file(path)


@pytest.mark.parametrize("content", [*BOMBS, OWN])
def test_a_configuration_of_aliases_of_aliases_is_refused(tmp_path, content):
    path = tmp_path / "podrunner.yaml"
    path.write_text(f"image: i\n{content}\n")
    with pytest.raises(ConfigError, match=r"repeat|contains itself"):
        load_file(path)


@pytest.mark.parametrize("content", [*BOMBS, OWN])
def test_a_kubeconfig_of_aliases_of_aliases_is_refused(tmp_path, content):
    path = tmp_path / "kubeconfig"
    path.write_text(f"{content}\ncontexts: [{{name: *a, context: {{}}}}]\n")
    with pytest.raises(ConfigError, match=r"the kubeconfig is not YAML \(line 1\)"):
        context_names([path])


def test_the_aliases_of_a_person_are_kept():
    shared = "x" * 1_000
    document = f"base: &base {{text: {shared}}}\nall: [{', '.join(['*base'] * 900)}]\n"
    assert len(yaml.load(document, BoundedLoader)["all"]) == 900
    assert yaml.load("a: &a {x: 1}\nb: {<<: *a, y: 2}", BoundedLoader)["b"] == {"x": 1, "y": 2}


@given(st.data())
def test_what_is_read_is_no_larger_than_the_limit(data):
    """Lists of earlier lists, in any shape: what is not refused can be walked through."""
    lines = ["v0: &v0 x"]
    for number in range(1, data.draw(st.integers(1, 40))):
        chosen = data.draw(st.lists(st.integers(0, number), max_size=4))  # itself, too
        lines.append(f"v{number}: &v{number} [{', '.join(f'*v{each}' for each in chosen)}]")
    document = "\n".join(lines)
    try:
        found = yaml.load(document, BoundedLoader)
    except yaml.constructor.ConstructorError:
        return
    assert len(json.dumps(found)) < 10 * (MAX_REPEATED + len(document))


HUGE = "0x" + "f" * 5_000


def test_a_number_that_python_cannot_write_is_refused_in_each_kind_of_file(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text(f"key: {{a: b}}\nimage: {HUGE}\n")
    with pytest.raises(SpecError, match="is malformed: line 2, column 8: a number is too long"):
        Workload.from_file(path)
    with pytest.raises(ConfigError, match="a number is too long"):
        load_file(path)
    path.write_text(f"contexts: [{{name: {HUGE}}}]")
    with pytest.raises(ConfigError, match=r"the kubeconfig is not YAML \(line 1\)"):
        context_names([path])
    toml = tmp_path / "podrunner.toml"
    toml.write_text(f"image = {HUGE}\n")
    with pytest.raises(ConfigError, match=r"image: must be text .*thousands of digits"):
        load_file(toml)
