"""What CI and a developer run: ``nox`` before a commit, ``nox -l`` for the list, ``nox -s NAME`` for one."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = (
    True  # by default a Python that is not there is skipped, but on CI
)
nox.options.sessions = ["lint", "fast", "types", "docs"]

# The whole contract suite but what meets no cluster: the transports' other files talk to a stub server of their own,
# and the pages' examples start a LocalCluster each.
CONTRACT = (
    "api",
    "cli",
    "clients",
    "faults",
    "kubectl",
    "kubelet",
    "ownership",
    "runner",
    "transport/test_against_a_cluster.py",
    "watch",
)
LOCAL_TIERS = ["tests/unit", "tests/contract", "tests/simulation", "tests/processes"]
# With one hash seed the worlds are the same each time: CI answers for the change under test.
# Each draws five times the examples of the fast tier: a test that hangs is ended later.
FULL_SIZE = {"SEEDS": "25", "HYPOTHESIS_PROFILE": "full", "PYTHONHASHSEED": "0", "PYTEST_TIMEOUT": "180"}
# A node of our own shares the machine with the tests: a test that hangs is ended later than elsewhere, where nothing
# names another limit. The fixtures alone wait for up to 90 s after a restart of the API server.
ON_A_NODE = {"PYTEST_TIMEOUT": "400"}
CLUSTER_TESTS = ["tests/cluster", *(f"tests/contract/{part}" for part in CONTRACT)]
# What CI has the time for on a real Kubernetes: what only one shows, but for the campaigns of 5,000 pods and of five
# million lines; and of the contract each promise, a runner's whole way, the watch and the wire.
CLUSTER_SHORT = [
    "tests/cluster",
    "--ignore=tests/cluster/test_many_logs.py",
    "--ignore=tests/cluster/test_many_pods.py",
    "tests/contract/faults/test_promises.py",
    "tests/contract/runner/test_runner_walk.py",
    "tests/contract/transport/test_against_a_cluster.py",
    "tests/contract/watch",
]
# What CI has the time for: triggered by REST, pods, logs, and a killed worker.
AIRFLOW_STORIES = {
    "short": ["test_story.py", "test_troubles.py", "-k", "not outlive"],
    "laptop": ["test_a_laptop.py", "test_standalone.py"],
    "pictures": ["test_browser.py", "test_kubectl.py"],
}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
AIRFLOWS = ("2.11.2", "3.3.2")  # tests/airflow_parity has the pinned requirements of each
ONE_BY_ONE = ["-n", "0"]  # these tests share one node, and some stop its daemons
NO_NODE_HERE = 75  # tests/cluster/up.py has said what this machine lacks
PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str, extras: str = "test") -> None:
    """Install podrunner with its extras and the dependency groups named."""
    session.install("-e", f".[{extras}]", *nox.project.dependency_groups(PYPROJECT, *groups))


@nox.session
def fast(session: nox.Session) -> None:
    """The fast tier, as the README runs it: unit tests, goldens, the demo, each promise once. Two minutes."""
    install(session)
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def contract(session: nox.Session) -> None:
    """What holds against any API server, run against LocalCluster: runner, command, kubectl, clients, faults."""
    run_tier(session, "tests/contract")


@nox.session
def simulation(session: nox.Session) -> None:
    """Whole runners in random worlds, in virtual time: 25 worlds each (SEEDS)."""
    run_tier(session, "tests/simulation")


@nox.session
def processes(session: nox.Session) -> None:
    """Real processes: LocalCluster's kubelet, and programs that are killed or cancelled: 5 rounds (ROUNDS)."""
    run_tier(session, "tests/processes")


@nox.session
def model(session: nox.Session) -> None:
    """The promises in every order of steps and faults, and that each rule switched off is found: two minutes."""
    run_tier(session, "tests/model")


def run_tier(session: nox.Session, *paths: str) -> None:
    """Run tests at their full size: what is given after ``--``, or else the paths."""
    install(session)
    session.run("python", "-m", "pytest", *(session.posargs or paths), env=FULL_SIZE)


@nox.session
def tests(session: nox.Session) -> None:
    """All tiers that need no real cluster, at their full size, with the coverage floor."""
    install(session)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or LOCAL_TIERS), env=FULL_SIZE)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")
    if not session.posargs:
        session.run("python", "-m", "pytest", "tests/model")  # tracing makes it five times as long


@nox.session
def browser(session: nox.Session) -> None:
    """The timeline's page and the board in a headless Chromium (Debian's chromium, chromium-driver). Half a minute.

    ``-- pictures`` makes the pictures of the documentation anew.
    """
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        session.skip("there is no chromium with chromedriver")
    install(session, "browser")
    if session.posargs == ["pictures"]:
        session.env["TEST_PICTURES"] = str(Path("docs/_static").resolve())
    chosen = [each for each in session.posargs if each != "pictures"]
    session.run("python", "-m", "pytest", *ONE_BY_ONE, *(chosen or ["tests/browser"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting and the direction of imports."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types inside, complete types outside; the documentation's programs as a user's own checkers see them."""
    install(session, "types")
    session.run("mypy")
    session.run("pyright", "--verifytypes", "podrunner", "--ignoreexternal")
    programs = Path(session.create_tmp(), "programs")
    session.run("python", "-m", "tests.support.doc_programs", str(programs))
    with session.chdir(programs):  # as a user would: no settings of ours, and no plugin of pydantic's
        session.run("mypy", "--strict", "--config-file=", ".")
        session.run("pyright", ".")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation with warnings as errors, then its examples."""
    install(session, "docs")
    target = "docs/_build/html"
    session.run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", target)
    session.run("sphinx-build", "-W", "-q", "-b", "doctest", "docs", "docs/_build/doctest")
    session.run("python", "docs/search_words.py", target)
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)
    session.log(f"open {target}/index.html")


@nox.session
def package(session: nox.Session) -> None:
    """The wheel and the sdist, each checked and installed alone: what a user of the core gets, and of the command."""
    session.install("build[uv]", "twine>=6.1", "validate-pyproject[all]>=0.24")
    session.run("validate-pyproject", "pyproject.toml")
    target = session.create_tmp()
    session.run("python", "-m", "build", "--installer", "uv", "--outdir", target, silent=True)
    (wheel,), (sdist,) = Path(target).glob("*.whl"), Path(target).glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    tracked = str(session.run("git", "ls-files", "podrunner", external=True, silent=True))
    with zipfile.ZipFile(wheel) as built_wheel:
        missing = set(tracked.splitlines()) - set(built_wheel.namelist())
    if missing:
        session.error(f"not in the wheel: {', '.join(sorted(missing))}")
    for built in (sdist, wheel):
        session.install("--force-reinstall", "--no-deps", str(built))
        session.install(str(built))
        session.run("python", "-P", "-c", "import podrunner; print(podrunner.RunnerConfig().namespace)")
        session.install(f"{built}[cli]")
        session.run("podrunner", "demo", "--json", silent=True)


@nox.session
def cluster(session: nox.Session) -> None:
    """The contract tests on a real Kubernetes, and what only a real one can show.

    Yours, if PODRUNNER_TEST_KUBECONFIG names one; else a node that is built and started here (Linux, root, Go), of the
    version that PODRUNNER_TEST_KUBERNETES names or else the newest. ``-- short`` runs the part that CI runs.
    """
    install(session)
    wanted = CLUSTER_SHORT if session.posargs == ["short"] else session.posargs
    chosen = [] if any(Path(each.partition("::")[0]).exists() for each in wanted) else CLUSTER_TESTS
    tests = ["python", "-m", "pytest", *ONE_BY_ONE, *wanted, *chosen]
    if os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        session.run(*tests, env=ON_A_NODE)
        return
    node = ["python", "tests/cluster/up.py", "--", *tests]
    session.run(*node, env=ON_A_NODE, success_codes=[0, NO_NODE_HERE])


@nox.session(name="airflow-parity")
def airflow_parity(session: nox.Session) -> None:
    """Worker pods of Airflow's own provider, for 2.11 and 3.3, compared with podrunner's. Five minutes.

    ``-- --record`` writes the answers that the fast tier compares with anew.
    """
    install(session)
    airflows = {version: airflow_environment(session, version) for version in AIRFLOWS}
    env = {f"AIRFLOW_PYTHON_{version.replace('.', '_')}": python for version, python in airflows.items()}
    if session.posargs == ["--record"]:
        session.run("python", "-m", "tests.airflow_parity.recorded", env=env)
    else:
        session.run("python", "-m", "pytest", *ONE_BY_ONE, "tests/airflow_parity", *session.posargs, env=env)


@nox.session(venv_backend="none")
def airflow(session: nox.Session) -> None:
    """A real Airflow 3.3 whose tasks run in pods: the story, 200 tasks, a browser, the how-to, kills and hand-overs.

    Several schedulers need PostgreSQL: Debian's package ``postgresql``, or ``initdb`` on PATH.
    ``-- short`` runs the part that CI runs, ``-- laptop`` the how-to's commands; ``-- pictures`` makes the pictures of
    the documentation anew, ``-- lock`` the pinned requirements.
    """
    if session.posargs == ["lock"]:
        lock = ["uv", "pip", "compile", "pyproject.toml", "--extra", "airflow", "--group", "airflow"]
        target = ["--python-version", "3.11", "-o", "tests/airflow/requirements-3.3.2.txt"]
        session.run(*lock, "--quiet", "--no-header", "--no-annotate", *target, external=True)
        return
    python = airflow_environment(session, "3.3.2", of="airflow")
    install_into(session, python, "--no-deps", "-e", ".")
    session.run(
        python, "-m", "pip", "check", external=True
    )  # the pinned versions satisfy podrunner's own requirements
    wanted = session.posargs
    if len(wanted) == 1 and wanted[0] in AIRFLOW_STORIES:
        wanted = AIRFLOW_STORIES[wanted[0]]
    if session.posargs == ["pictures"]:
        session.env["TEST_PICTURES"] = str(Path("docs/_static/airflow").resolve())
    # Without podrunner's own settings of pytest: these tests run in Airflow's environment.
    tests = ["-c", "/dev/null", "--rootdir", ".", "--confcutdir", ".", "-p", "no:cacheprovider"]
    session.chdir("tests/airflow")
    chosen = [] if any(each.partition("::")[0].endswith(".py") for each in wanted) else ["."]
    session.run(python, "-m", "pytest", *tests, *wanted, *chosen, external=True)


@nox.session(name="airflow-laptop", venv_backend="none")
def airflow_laptop(session: nox.Session) -> None:
    """The laptop of the how-to, by an ordinary user that is made for it: pip, then the commands. Four minutes."""
    pinned = "-c tests/airflow/requirements-3.3.2.txt apache-airflow-providers-cncf-kubernetes pytest pytest-timeout"
    tests = "-c /dev/null --rootdir . --confcutdir . -p no:cacheprovider"
    session.run(
        ".ci/as-ordinary-user",
        f"python3 -m venv .venv && .venv/bin/pip install -q '.[airflow]' {pinned}",
        f"cd tests/airflow && ../../.venv/bin/python -m pytest {tests} {' '.join(AIRFLOW_STORIES['laptop'])}",
        external=True,
    )


@nox.session(name="airflow-node", venv_backend="none")
def airflow_node(session: nox.Session) -> None:
    """The same Airflow on a real Kubernetes node, which is started here (Linux, root, Go). Five minutes warm."""
    python = airflow_environment(session, "3.3.2", of="airflow")
    install_into(session, python, "--no-deps", "-e", ".")
    session.chdir("tests/airflow")  # without podrunner's own settings of pytest
    tests = ["-c", "/dev/null", "--rootdir", ".", "--confcutdir", ".", "-p", "no:cacheprovider"]
    command = [python, "-m", "pytest", *tests, *session.posargs, "test_on_a_node.py"]
    node = [python, "../cluster/up.py", "--", *command]
    session.run(*node, external=True, success_codes=[0, NO_NODE_HERE])


def airflow_environment(session: nox.Session, version: str, of: str = "airflow_parity") -> str:
    """Return the interpreter of an environment with this Airflow, which is made first if it is not there.

    Each has one of its own, since they need different versions of SQLAlchemy; podrunner is only in that of
    ``tests/airflow``.
    """
    name = "airflow" if of == "airflow_parity" else "airflow-run"
    folder = Path(".nox", f"{name}-{version}").resolve()
    python, requirements = str(folder / "bin" / "python"), f"tests/{of}/requirements-{version}.txt"
    if not (folder / "installed").exists():
        session.run("python", "-m", "venv", "--clear", str(folder))
        install_into(session, python, "--no-deps", "-r", requirements)
        (folder / "installed").touch()
    return python


def install_into(session: nox.Session, python: str, *what: str) -> None:
    """Install with uv where it is there: the 150 packages of an Airflow take seconds; with pip, minutes."""
    if uv := shutil.which("uv"):
        session.run(uv, "pip", "install", "-q", "--python", python, *what, external=True)
    else:
        session.run(python, "-m", "pip", "install", "-q", *what, external=True)


@nox.session
def mutation(session: nox.Session) -> None:
    """Changes of the deciding modules that their tests must notice: 90 % of each module's. Ten minutes."""
    install(session, "mutation")
    session.run(
        "mutmut", "run", "--max-children", "2", *session.posargs, env={"HYPOTHESIS_PROFILE": "mutation"}
    )
    session.run("python", "-m", "tests.support.mutants")


@nox.session(python=PYTHONS, name="python")
def each_python(session: nox.Session) -> None:
    """Unit and contract tiers on each Python that is supported: a missing one fails. Half an hour each."""
    install(session)
    session.run("python", "-m", "pytest", *(session.posargs or ["tests/unit", "tests/contract"]))


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Unit and contract tiers with the lowest versions of the dependencies that pyproject.toml names. Half an hour."""
    # --upgrade: uv keeps a later version that is there from before.
    session.install("--upgrade", "--resolution", "lowest-direct", "-e", ".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ["tests/unit", "tests/contract"]))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Thousands of inputs of the command: none ends in a traceback. Two minutes."""
    install(session)
    session.run("python", "-m", "pytest", "tests/unit/cli/test_random_inputs.py", env={"SEEDS": "100"})


@nox.session
def nightly(session: nox.Session) -> None:
    """What is too long for CI: 1,000 worlds, rounds of killed and cancelled programs, mutants, each Kubernetes."""
    install(session)
    session.run("python", "-m", "pytest", "tests/simulation", env={"SEEDS": "1000"})
    session.run("python", "-m", "pytest", "tests/model", env={"MODEL": "whole"})
    session.run(
        "python",
        "-m",
        "pytest",
        "tests/processes/delivery",
        "tests/processes/test_fan_out.py",
        env={"ROUNDS": "20"},
    )
    session.run("python", "-m", "pytest", "tests/processes/closing", env={"ROUNDS": "300"})
    for version in sorted(
        folder.name for folder in Path("tests/cluster/module").iterdir() if folder.is_dir()
    ):
        session.log(f"Kubernetes {version}")
        tests = ["python", "-m", "pytest", *ONE_BY_ONE, *CLUSTER_TESTS]
        node = ["python", "tests/cluster/up.py", "--", *tests]
        env = {**ON_A_NODE, "PODRUNNER_TEST_KUBERNETES": version}
        session.run(*node, env=env, success_codes=[0, NO_NODE_HERE])
    session.run(".ci/packages", "chromium", "chromium-driver", external=True)
    for version in PYTHONS:
        session.notify(f"python-{version}")
    session.notify("lowest")
    session.notify("fuzz")
    session.notify("airflow-parity")
    session.notify("airflow")
    session.notify("airflow-node")
    session.notify("airflow-laptop")
    session.notify("mutation")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: figures to compare within one run, never asserted."""
    install(session)
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session(name="bench-scale")
def bench_scale(session: nox.Session) -> None:
    """10,000 pods live in one runner, up to 100,000 tracked: figures and pictures for docs/benchmarks. Ten minutes."""
    install(session)
    session.run("python", "benchmarks/scale.py", "--to", "docs/benchmarks", *session.posargs)


@nox.session(name="bench-peers")
def bench_peers(session: nox.Session) -> None:
    """Other clients beside podrunner, at pinned versions: figures and pictures for docs/benchmarks. Twelve minutes."""
    session.install("-r", "benchmarks/peers/requirements.txt")
    session.install("-e", ".", "-c", "benchmarks/peers/requirements.txt")
    session.run("python", "benchmarks/peers/compare.py", "--to", "docs/benchmarks", *session.posargs)


if shutil.which("uv") is None:
    nox.options.default_venv_backend = "virtualenv"
