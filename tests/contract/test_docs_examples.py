"""The documentation is correct: its Python runs, and prints what its comments say; its links and names exist.

- The Python blocks of a page are one program, which runs in a folder with the examples.
- A block after ``<!-- pytest -->`` is a separate test file; a block after ``<!-- not run: … -->`` is not run.
- Each comment behind a ``print`` is a line that must be printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import dropwhile, takewhile
from pathlib import Path

import podrunner
import pytest
from podrunner.outcome.category import USUAL_FAULT

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
TESTS = [path for path in EXAMPLES if path.name.startswith("test_")]
TESTED = [path.with_name(path.name.removeprefix("test_")) for path in TESTS]
"""Examples that have a test of their own, which runs them."""
_BLOCK = re.compile(r"(?:<!-- (?P<how>pytest|not run: [^\n]+) -->\n+)?```python\n(?P<code>.*?)```", re.DOTALL)
_EXPECTED_LINE = re.compile(r"print\(.*\)\s+# (.+)$", re.MULTILINE)

pytestmark = pytest.mark.processes


def _blocks(page: Path) -> list[tuple[str, str]]:
    """Return how each Python block of a page is run, and its code."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [((match["how"] or "run").partition(":")[0], match["code"]) for match in found]


PAGES = [
    DOCS / "index.md",
    *(
        page
        for kind in ("tutorial", "how-to")
        for page in sorted((DOCS / kind).glob("*.md"))
        if _blocks(page)
    ),
]


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """Return an environment without a cluster and settings, for a folder with the examples."""
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    (tmp_path / "home").mkdir()
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PODRUNNER_", "KUBE", "AIRFLOW"))
    }
    return {**environment, "HOME": str(tmp_path / "home")}


def _run(*arguments: str, folder: Path, environ: dict[str, str]) -> str:
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"
    return run.stdout


def _expect(code: str, printed: str) -> None:
    missing = [line for line in _EXPECTED_LINE.findall(code) if line not in printed.splitlines()]
    assert not missing, f"not printed: {missing}\nprinted:\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_prints_what_the_page_says(
    page: Path, tmp_path: Path, bare: dict[str, str]
) -> None:
    program = "\n".join(code for how, code in _blocks(page) if how == "run")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    _expect(program, _run("program.py", folder=tmp_path, environ=bare))


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "pytest" in dict(_blocks(page))], ids=lambda page: page.stem
)
def test_the_tests_of_a_page_pass(page: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    for number, code in enumerate(code for how, code in _blocks(page) if how == "pytest"):
        (tmp_path / f"test_{number}.py").write_text(code, encoding="utf-8")
    settings = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={tmp_path}", str(tmp_path)]
    assert "passed" in _run("-m", "pytest", *settings, folder=tmp_path, environ=bare)


@pytest.mark.parametrize("example", TESTS, ids=lambda example: example.stem)
def test_the_test_of_an_example_passes(example: Path, tmp_path: Path, bare: dict[str, str]) -> None:
    """As a user runs it in a clone, with pytest alone: the repository's own settings name plugins that it needs."""
    absent = [f"-pno:{plugin}" for plugin in ("xdist", "timeout", "asyncio", "cacheprovider")]
    assert "passed" in _run("-m", "pytest", "-q", *absent, str(example), folder=tmp_path, environ=bare)


def test_the_first_scheduler_prints_what_its_tutorial_shows(tmp_path: Path, bare: dict[str, str]) -> None:
    page = (DOCS / "tutorial" / "a-scheduler.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert _run("examples/flow.py", folder=tmp_path, environ=bare) == shown


@pytest.mark.parametrize(
    "example",
    [path for path in EXAMPLES if path not in {*TESTS, *TESTED}],
    ids=lambda example: example.stem,
)
def test_an_example_runs_on_a_machine_without_a_cluster(
    example: Path, tmp_path: Path, bare: dict[str, str]
) -> None:
    printed = _run(str(example), folder=tmp_path, environ=bare)
    assert printed
    _expect(example.read_text(encoding="utf-8"), printed)


def _rows(page: str, *, headed: str) -> dict[str, list[str]]:
    """Return the rows of the page's table with this first heading, by the code in their first cell."""
    lines = iter((DOCS / page).read_text(encoding="utf-8").splitlines())
    table = takewhile(
        lambda line: line.startswith("|"), dropwhile(lambda line: not line.startswith(f"| {headed} |"), lines)
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): row[1:] for row in rows[2:]}


def test_the_table_of_outcomes_names_every_category_and_its_usual_fault() -> None:
    documented = {
        category: re.sub(r"^by its (words, else|reason and words, mostly) ", "", row[1])
        .strip("`")
        .replace("none", "")
        for category, row in _rows("reference/outcomes.md", headed="Category").items()
    }
    assert documented == {str(category): str(fault or "") for category, fault in USUAL_FAULT.items()}


def test_every_public_name_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "library.md").read_text(encoding="utf-8")
    documented = set(re.findall(r":: (?:podrunner\.errors|podrunner\.|)(\w+)$", page, re.MULTILINE))
    assert set(podrunner.__all__) - {"PodrunnerError"} <= documented  # the errors are documented as a module


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_has_a_target(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_test_that_the_promises_name_exists() -> None:
    page = (DOCS / "explanation" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert named
    for path, name in named:
        assert (REPOSITORY / path).exists(), path
        assert f"{name}(" in (REPOSITORY / path).read_text(encoding="utf-8") or f"class {name}" in (
            REPOSITORY / path
        ).read_text(encoding="utf-8"), f"{path}::{name}"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_name_that_a_page_refers_to_is_in_the_reference(page: Path) -> None:
    reference = (DOCS / "reference" / "library.md").read_text(encoding="utf-8")
    shown = {name.removeprefix("podrunner.") for name in re.findall(r":: ([\w.]+)$", reference, re.MULTILINE)}
    wanted = re.findall(r"\{py:\w+\}`podrunner\.([\w.]+)`", page.read_text(encoding="utf-8"))
    assert set(wanted) <= shown
