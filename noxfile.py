"""What CI and a developer run: ``nox`` before a commit, ``nox -l`` for the list, ``nox -s NAME`` for one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
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
FULL_SIZE = {"SEEDS": "25", "HYPOTHESIS_PROFILE": "full", "PYTHONHASHSEED": "0"}
CLUSTER_TESTS = ["tests/cluster", *(f"tests/contract/{part}" for part in CONTRACT)]
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


@nox.session(python=["3.12", "3.13"])
def unit(session: nox.Session) -> None:
    """The unit tests on the later Pythons, for a machine that has them."""
    run_tier(session, "tests/unit")


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
    session.log(f"open {target}/index.html")


@nox.session
def package(session: nox.Session) -> None:
    """The wheel, installed alone: what a user of the core gets, and of the command."""
    session.install("build")
    target = session.create_tmp()
    session.run("python", "-m", "build", "--wheel", "--outdir", target, silent=True)
    (wheel,) = Path(target).glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(str(wheel))
    session.run("python", "-P", "-c", "import podrunner; print(podrunner.RunnerConfig().namespace)")
    session.install(f"{wheel}[cli]")
    session.run("podrunner", "demo", "--json", silent=True)


@nox.session
def cluster(session: nox.Session) -> None:
    """The contract tests on a real Kubernetes, and what only a real one can show.

    Yours, if PODRUNNER_TEST_KUBECONFIG names one; else a node that is built and started here (Linux, root, Go), of the
    version that PODRUNNER_TEST_KUBERNETES names or else the newest.
    """
    install(session)
    chosen = [] if any(Path(each.partition("::")[0]).exists() for each in session.posargs) else CLUSTER_TESTS
    tests = ["python", "-m", "pytest", *ONE_BY_ONE, *session.posargs, *chosen]
    if os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        session.run(*tests)
        return
    session.run("python", "tests/cluster/up.py", "--", *tests, success_codes=[0, NO_NODE_HERE])


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
    """A real Airflow 3.3 whose tasks run in pods of LocalCluster: the story, and what kills do. Four minutes warm."""
    python = airflow_environment(session, "3.3.2", of="airflow")
    session.run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", ".", external=True)
    # Without podrunner's own settings of pytest: these tests run in Airflow's environment.
    tests = ["-c", "/dev/null", "--rootdir", ".", "--confcutdir", ".", "-p", "no:cacheprovider"]
    session.chdir("tests/airflow")
    session.run(python, "-m", "pytest", *tests, *session.posargs, ".", external=True)


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
        session.run(python, "-m", "pip", "install", "-q", "--no-deps", "-r", requirements, external=True)
        (folder / "installed").touch()
    return python


@nox.session
def mutation(session: nox.Session) -> None:
    """Changes of the deciding modules that their tests must notice: 90 % of each module's. Ten minutes."""
    install(session, "mutation")
    session.run(
        "mutmut", "run", "--max-children", "2", *session.posargs, env={"HYPOTHESIS_PROFILE": "mutation"}
    )
    session.run("python", "-m", "tests.support.mutants")


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
        session.run(*node, env={"PODRUNNER_TEST_KUBERNETES": version}, success_codes=[0, NO_NODE_HERE])
    session.notify("airflow-parity")
    session.notify("airflow")
    session.notify("mutation")


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks: figures to compare within one run, never asserted."""
    install(session)
    session.run("python", "benchmarks/run.py", *session.posargs)


if shutil.which("uv") is None:
    nox.options.default_venv_backend = "virtualenv"
