"""Random inputs of the command: arguments, files, variables, streams and servers' answers, each drawn from a seed.

Most of what is drawn is right, so that commands get past their arguments.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

import yaml
from tests.support.cli_words import COMMANDS, NAMES, NEEDED, PLACES, RIGHT, SHELLS, TEXTS, words_of

__all__ = ["Input", "arguments_of", "draw"]

CFG = """[core]
dags_folder = /opt/dags
executor = KubernetesExecutor
sql_alchemy_conn = postgresql://user:secret@db/airflow
[kubernetes]
dags_in_image = True
worker_container_repository = repository
worker_container_tag = tag
namespace = jobs
"""
TOML = (
    'image = "i"\nnamespace = "jobs"\nenv = {A = "b"}\nkubeconfig = "kubeconfig"\n[logs]\nfolder = "logs"\n'
)
WORKLOAD = {"key": {"a": "b"}, "image": "i", "command": ["echo", "héllo"], "env": {"A": "ü"}}
JOURNAL = [
    {"podrunner_journal": 1, "owner": "a"},
    {"key": "a=b", "pod": "web-1", "submitted": 1.0, "created": 2.5, "started": 3.0, "finished": 9.0},
    {"key": "a=ü", "attempt": 2, "submitted": 4.0, "message": "waits\x1b[2J", "seen": 1e9},
]
PARTS = ["metadata", "spec", "status", "items", "data", "major", "minor", "gitVersion"]
VARIABLES = [
    "PODRUNNER_NAMESPACE",
    "PODRUNNER_LOGS__FOLDER",
    "PODRUNNER_ENV",
    "PODRUNNER_FROB",
    "KUBECONFIG",
    "HOME",
    "COLUMNS",
    "LINES",
    "TERM",
    "NO_COLOR",
    "https_proxy",
    "AIRFLOW__CORE__DAGS_FOLDER",
]


EXEC_API = "client.authentication.k8s.io/v1"
CLUSTER_SETTINGS = ["tls-server-name", "proxy-url", "certificate-authority", "certificate-authority-data"]
SERVERS = [
    *(
        "http://127.0.0.1:9",
        "https://127.0.0.1:9",
        "https://a..b",
        f"https://{'a' * 70}",
        "http://127.0.0.1:9/ü \0",
    ),
    *TEXTS,
]


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        arguments: The words after ``podrunner``.
        files: Name → content; they are in the working directory.
        variables: The environment.
        answers: What the server of the kubeconfig answers, one after the other.
        stdout: ``pipe``, ``closed-pipe``, ``full`` or ``closed``.
        stderr: Likewise.
        encoding: Of both.
    """

    arguments: list[str]
    files: dict[str, bytes] = field(repr=False)
    variables: dict[str, str]
    answers: list[bytes] = field(repr=False)
    stdout: str
    stderr: str
    encoding: str


def draw(seed: int | str, *, server: str = "http://127.0.0.1:9") -> Input:
    """Draw an input: the same one for a seed and a server."""
    random = Random(seed)
    arguments = _arguments(random, server)
    return Input(
        arguments=arguments,
        files=_files(random, server),
        variables=_variables(random, arguments),
        answers=[_answer(random) for _ in range(4)],
        stdout=random.choice(["pipe", "pipe", "pipe", "closed-pipe", "full", "closed"]),
        stderr=random.choice(["pipe", "pipe", "pipe", "pipe", "closed-pipe", "full", "closed"]),
        encoding=random.choice(
            ["utf-8", "utf-8", "ascii", "latin-1", "ascii:replace", "utf-8:surrogateescape"]
        ),
    )


def arguments_of(seed: int | str, *, server: str = "http://127.0.0.1:9") -> list[str]:
    """Return the arguments of the input that is drawn, which costs a hundredth of the whole input."""
    return _arguments(Random(seed), server)


def _arguments(random: Random, server: str) -> list[str]:
    command, taken = random.choice(list(COMMANDS)), urlsplit(server).port or 9
    options = COMMANDS[command]
    most = random.choice([2, 3, len(options)])
    chosen = random.sample(options, random.randint(0, min(most, len(options))))
    if "--kubeconfig" in {*options} - {*chosen} and random.random() < RIGHT:
        chosen.append("--kubeconfig")
    if command in NEEDED and NEEDED[command] not in chosen:
        chosen.append(NEEDED[command])
    chosen.sort(key=lambda option: option == "PROGRAM")
    words = [word for option in chosen for word in words_of(random, option, taken=taken)]
    if random.random() < 0.1:
        words.insert(random.randint(0, len(words)), random.choice([*TEXTS, "--frob", "--", "-"]))
    if command == "run":
        words += ["--", *random.choices(TEXTS, k=random.randint(0, 3))]
    return [*command.split(), *words]


def _variables(random: Random, arguments: list[str]) -> dict[str, str]:
    """Return the environment; now and then it is that in which a shell asks how the arguments go on."""
    drawn = random.sample(VARIABLES, random.choice([0, 0, 1, 2]))
    variables = {name: random.choice([*TEXTS, *PLACES]) for name in drawn}
    shell = random.choice([*SHELLS, *[""] * 40])
    if shell:
        typed = " ".join(["podrunner", *arguments])
        at = random.randint(0, len(arguments) + 1)
        variables |= {"_PODRUNNER_COMPLETE": f"complete_{shell}", "COMP_WORDS": typed, "COMP_CWORD": str(at)}
        variables |= {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    return variables


def _files(random: Random, server: str) -> dict[str, bytes]:
    users = [{}, {"token": _mostly(random, "t", TEXTS)}, {"username": "ü", "password": "p"}]
    text = random.choice(TEXTS)
    odd = [
        *({"tokenFile": "journal"}, {"tokenFile": text}, {"username": text, "password": text}),
        *({"token": "t", "as": "j", "as-user-extra": {text: [text]}}, {"client-certificate-data": text}),
        {"exec": {"apiVersion": EXEC_API, "command": text, "interactiveMode": "Never", "args": [text]}},
    ]
    user = random.choice(users if random.random() < RIGHT else odd)
    settings = {} if random.random() < RIGHT else {random.choice(CLUSTER_SETTINGS): text}
    document = {
        "current-context": "dev",
        "contexts": [{"name": "dev", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {
                "name": "c",
                "cluster": {"server": _mostly(random, server, SERVERS), **settings},
            }
        ],
        "users": [{"name": "u", "user": user}],
    }
    files = {
        "airflow.cfg": CFG.encode(),
        "podrunner.toml": TOML.encode(),
        "podrunner.yaml": yaml.safe_dump({"image": "i", "kubeconfig": "kubeconfig"}).encode(),
        "podrunner.json": json.dumps({"image": "i", "labels": {"a": "b"}}).encode(),
        "workload.json": json.dumps(WORKLOAD).encode(),
        "workload.yaml": yaml.safe_dump(WORKLOAD, allow_unicode=True).encode(),
        "kubeconfig": yaml.safe_dump(document).encode(errors="surrogatepass"),
        "journal": b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in JOURNAL),
        "logs/a/b": b"line\n\xff\xfe\n",
    }
    return {
        name: _spoilt(random, content) if random.random() > RIGHT else content
        for name, content in files.items()
    }


def _mostly(random: Random, right: str, others: list[str]) -> str:
    return right if random.random() < RIGHT else random.choice(others)


def _spoilt(random: Random, content: bytes) -> bytes:
    at = random.randrange(len(content))
    text = content.decode(errors="replace")
    return random.choice(
        [
            b"",
            content[:at],
            b"\xef\xbb\xbf" + content,
            text.encode("utf-16"),
            text.encode("latin-1", "replace"),
            content[:at] + random.randbytes(3) + content[at:],
            content.replace(b"i", b"\0", 1),
            content.replace(b"a", b"\xff"),
            content * 2,
            b"[" * 2_000,
            b"a: &a [*a]\n",
            b"%" + content,
            random.randbytes(40),
            b"1" * 5_000,
        ]
    )


def _answer(random: Random) -> bytes:
    pod = _pod(random)
    listed = {"kind": "PodList", "metadata": {"resourceVersion": "5"}, "items": [pod] * random.randint(0, 3)}
    message = random.choice(["no\nmore", "ü", ""])
    refusal = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": message}
    one = {"kind": "Pod", **pod}
    event = {"type": random.choice(["ADDED", "MODIFIED", "DELETED", "ERROR", "ü"]), "object": one}
    fitting = [json.dumps(each) for each in (listed, listed, one, one, event)]
    misshapen = {name: random.choice([None, 7, "ü", [], [None], {}, {"a": 7}]) for name in PARTS}
    others = [
        json.dumps(refusal),
        *[json.dumps({**one, **misshapen})] * 4,
        "line\nü\x1b[2J\n",
        "<html>ü</html>",
        "{}",
        "[" * 50,
        "null",
        "",
    ]
    body = _mostly(random, random.choice(fitting), others).encode(errors="surrogatepass")
    refused = ["201 Created", "400 B", "401 U", "403 F", "404 N", "409 C", "410 G", "302 F", "500 S", "204 N"]
    media = _mostly(random, "application/json", ["text/html", "text/plain", "ü/x"])
    head = f"HTTP/1.1 {_mostly(random, '200 OK', refused)}\r\nContent-Type: {media}\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
    return (
        whole
        if random.random() < RIGHT
        else random.choice([whole[: len(whole) // 2], b"", b"\xff\xfe\r\n\r\n"])
    )


def _pod(random: Random) -> dict[str, object]:
    text = _mostly(random, "Error", TEXTS)
    ended = {"exitCode": random.choice([0, 1, 137, 300]), "reason": text, "message": text}
    state = random.choice(
        [{"running": {}}, {"waiting": {"reason": text, "message": text}}, {"terminated": ended}]
    )
    return {
        "metadata": {
            "name": random.choice(NAMES),
            "namespace": "jobs",
            "uid": "u",
            "resourceVersion": "5",
            "labels": {"app.kubernetes.io/managed-by": "podrunner", "a": text},
            "creationTimestamp": _mostly(random, "2026-11-01T10:00:00Z", TEXTS),
        },
        "spec": {"containers": [{"name": "base"}], "nodeName": text},
        "status": {
            "phase": random.choice(["Running", "Pending", "Succeeded", "Failed", "ü\x1b[2J"]),
            "containerStatuses": [{"name": "base", "restartCount": 0, "state": state}],
        },
    }
