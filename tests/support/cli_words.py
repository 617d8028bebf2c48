"""What is drawn for the command: its commands, the options of each, and values, of which most are right.

No word here starts a server or a cluster, waits without an end, or writes outside of the working directory.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

__all__ = [
    "COMMANDS",
    "CONFIGS",
    "NAMES",
    "NEEDED",
    "NOT_DRAWN",
    "PLACES",
    "RIGHT",
    "SHELLS",
    "TEXTS",
    "words_of",
]

TEXTS = [
    *(
        "",
        "-",
        "x",
        "a/b",
        "ü",
        "日本",
        "\udcff\udc80",
        "a\nb",
        "\x1b[2J",
        "a b",
        "=",
        "A=b",
        "%s",
        "{",
        "..",
    ),
    *("0", "-1", "1e9", "²", "nan", "9" * 30, "x" * 3000),
]
NAMES = [*["web-1"] * len(TEXTS), "pod", *TEXTS]
PLACES = ["", ".", "/", "/dev/null", "/dev/full", "/nowhere/x", "none", "x" * 300, "folder"]
CONFIGS = ["airflow.cfg", "podrunner.toml", "podrunner.yaml", "podrunner.json"]
COMMON = ["--config", "--kubeconfig", "--context", "--namespace"]
COMMANDS: dict[str, list[str]] = {
    "run": [
        *COMMON,
        *("--image", "--name", "--env", "--json", "--allow-commands", "--workload", "--label", "--volume"),
        *("--cpu", "--memory", "--gpu", "--timeout", "--retries", "--rm", "--detach"),
    ],
    "get": [*COMMON, "--all-namespaces", "--watch", "--output", "--others", "--selector", "--json", "NAMES"],
    "describe": [*COMMON, "--all-namespaces", "--tail", "--container", "--json", "NAMES"],
    "logs": [
        *COMMON,
        "--all-namespaces",
        *("--follow", "--container", "--selector", "--all", "--since", "--prefix", "--no-prefix", "--json"),
        *("--timestamps", "--tail", "--output", "--host", "NAMES", "--allow-commands"),
    ],
    "exec": [*COMMON, "--container", "--stdin", "--tty", "NAMES", "PROGRAM"],
    "delete": [*COMMON, "--grace-period", "--selector", "--detached", "--json", "NAMES"],
    "wait": [*COMMON, "--selector", "--all", "--for", "--timeout", "--json", "NAMES"],
    "cp": [*COMMON, "--container", "--json", "COPIED"],
    "port-forward": [*COMMON, "--json", "FORWARDED"],
    "release": [
        *COMMON,
        *("--selector", "--all-namespaces", "--all-owners", "--lease-namespace", "--yes", "--json"),
    ],
    "render": ["--config", "--workload", "--output", "--explain"],
    "diff": ["FILE", "FILE", "--workload", "--unified", "--json", "--allow-commands"],
    "doctor": [*COMMON, "--no-pod", "--image", "--timeout", "--json"],
    "completion": ["SHELL"],
    "config check": ["FILE", "--strict", "--show", "--json", "--allow-commands"],
    "local up": ["--port=70000", "--image=none", "--kubeconfig", "--folder", "--strict-images"],
    "demo": ["--kubeconfig", "--context", "--config", "--image", "--json", "--allow-commands", "--folder"],
    "timeline": [
        *COMMON,
        *("--html", "--svg", "--png", "--text", "--width", "--json", "--selector", "--others", "JOURNAL"),
    ],
    "board": [*COMMON, "--port", "--selector", "--others", "--all-namespaces"],
    "bench": [
        *COMMON,
        *(
            "--target=cluster",
            "--pods",
            "--time-limit",
            "--concurrency",
            "--seed",
            "--running",
            "--failing",
            "--log-lines",
        ),
        *("--image", "--cpu", "--memory", "--json", "--html"),
    ],
    "frob": ["NAMES"],
    "--version": [],
    "--help": [],
    "": [],
}
"""Each command with what it is given, each at random. A word in capitals stands for arguments."""
NEEDED = {
    "bench": "--target=cluster",
    "board": "--port",
    "config check": "FILE",
    "demo": "--kubeconfig",
    "doctor": "--no-pod",
    "local up": "--port=70000",
    "port-forward": "FORWARDED",
    "render": "--workload",
    "run": "--kubeconfig",
    "wait": "--timeout",
}
"""What a command must be given, or it ends at its arguments, starts a server, or waits without an end."""
NOT_DRAWN = {
    "": {"--help": "is drawn as a command", "--local": "starts a LocalCluster"},
    "bench": {"--yes": "launches pods"},
}
"""Options that no input has, and why: "" for all commands."""
FLAGS = {
    *(
        "--json",
        "--allow-commands",
        "--watch",
        "--all",
        "--others",
        "--follow",
        "--timestamps",
        "--stdin",
        "--tty",
    ),
    *("--all-namespaces", "--all-owners", "--yes", "--explain", "--strict", "--show", "--text"),
    *("--port=70000", "--image=none", "--rm", "--detach", "--detached", "--prefix", "--no-prefix"),
    *("--no-pod", "--strict-images", "--target=cluster"),
}
VALUES = {
    "--concurrency": ["1", "2"],
    "--config": CONFIGS,
    "--container": ["base"],
    "--context": ["dev", "none"],
    "--cpu": ["100m"],
    "--env": ["A=b", "A"],
    "--failing": ["0.5", "2"],
    "--folder": ["out"],
    "--for": ["running", "ended", "succeeded"],
    "--gpu": ["0", "1"],
    "--grace-period": ["0", "30"],
    "--host": ["127.0.0.1"],
    "--html": ["out.html", *PLACES],
    "--image": ["i"],
    "--kubeconfig": ["kubeconfig"],
    "--label": ["a=b"],
    "--lease-namespace": ["jobs"],
    "--log-lines": ["1"],
    "--memory": ["16Mi"],
    "--name": ["web"],
    "--namespace": ["jobs"],
    "--output": ["json", "yaml", "wide", "name", "out.log", *PLACES],
    "--pods": ["2", "5001"],
    "--png": ["out.png", *PLACES],
    "--retries": ["0", "1"],
    "--running": ["0.01"],
    "--seed": ["7"],
    "--selector": ["a=b", "a in (b, c)"],
    "--since": ["10m", "2026-11-01T10:00:00Z"],
    "--svg": ["out.svg", *PLACES],
    "--tail": ["0", "5", "x"],
    "--timeout": ["1s", "1"],
    "--time-limit": ["1"],
    "--unified": ["0", "3"],
    "--volume": ["claim/c:/data", "a=b"],
    "--width": ["60", "300"],
    "--workload": ["workload.json", "workload.yaml"],
}
"""Right values, for the most part."""
RIGHT = 0.85
"""How often a value is one of these: most inputs get past their arguments."""
PATHS = {"--config", "--kubeconfig", "--workload"}
PORTS = ["80", ":80", "x", "0:80", "99999", "ü", "80:http", ""]
COPIED = ["pod:/tmp/x", "pod:", ":x", "web-1:a/b", "-", "podrunner.toml", "logs", "nowhere", "x"]
SHELLS = ["bash", "zsh", "fish"]


def words_of(random: Random, option: str, *, taken: int) -> list[str]:
    """Return the words of an option or of arguments.

    Args:
        random: Draws.
        option: An entry of :data:`COMMANDS`.
        taken: A port of this machine that another program listens on: nothing that is drawn can serve there.
    """
    if option in FLAGS:
        return [option]
    if option == "FORWARDED":
        ports = [*random.sample(PORTS, random.choice([0, 0, 0, 1])), f"{taken}:80"]
        return [random.choice(NAMES), *random.sample(ports, len(ports))]
    if option == "--port":
        return [option, random.choice([str(taken), str(taken), "70000", "-1", "x", "ü"])]
    if option in ARGUMENTS:
        return ARGUMENTS[option](random)
    if option in PATHS:
        return [option, _path(random, VALUES[option])]
    return [option, random.choice(VALUES[option] if random.random() < RIGHT else TEXTS)]


def _path(random: Random, good: list[str]) -> str:
    """Return a path: mostly one of these."""
    return random.choice(good if random.random() < RIGHT else [*PLACES, *TEXTS])


ARGUMENTS: dict[str, Callable[[Random], list[str]]] = {
    "COPIED": lambda random: random.choices(COPIED, k=2),
    "FILE": lambda random: [_path(random, CONFIGS)],
    "JOURNAL": lambda random: [_path(random, ["journal"])],
    "NAMES": lambda random: random.choices(NAMES, k=random.choice([1, 1, 1, 2, 3])),
    "PROGRAM": lambda random: ["--", *random.choices(TEXTS, k=2)],
    "SHELL": lambda random: [random.choice(["bash", *SHELLS, *TEXTS])],
}
