"""Hypothesis strategies: any valid configuration."""

from __future__ import annotations

from hypothesis import strategies as st
from podrunner.config import RunnerConfig

# Text that a UTF-8 file can hold: no surrogates; YAML cannot write all control characters, but escapes them.
text = st.text(st.characters(codec="utf-8"), max_size=12)
words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
keys = st.from_regex(r"([a-z]{1,5}\.io/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True)
label_values = st.from_regex(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?)?", fullmatch=True)
variables = st.from_regex(r"[A-Z_a-z][A-Z_a-z0-9.-]{0,10}", fullmatch=True)
secret_keys = st.from_regex(r"[-._A-Za-z0-9]{1,8}", fullmatch=True)
paths = st.from_regex(r"/[a-zA-Z0-9_./-]{0,12}", fullmatch=True)
subpaths = st.from_regex(r"[a-zA-Z0-9_-]{1,6}(/[a-zA-Z0-9_-]{1,6})?", fullmatch=True)
seconds = st.floats(0.001, 1e6, allow_nan=False) | st.integers(1, 10_000).map(float)
secrets = words.filter(lambda value: value != "**********")


def json_values(*, nulls: bool):
    """Any JSON; with nulls only if asked for, since TOML has none."""
    scalars = (
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False, allow_infinity=False)
        | text
    )
    leaves = scalars | st.none() if nulls else scalars
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=6,
    )


def some(**fields):
    """Settings of which any may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


git = st.fixed_dictionaries(
    {"kind": st.just("git"), "repo": words, "mount_point": paths},
    optional={
        "branch": words,
        "rev": words,
        "subpath": subpaths,
        "depth": st.integers(0, 9),
        "password": secrets,
        "run_as_user": st.integers(0, 9),
    },
).filter(lambda value: "@" not in value["repo"])
dags = st.one_of(
    st.just({"kind": "image"}),
    st.fixed_dictionaries({"kind": st.just("claim"), "claim": names}, optional={"subpath": subpaths}),
    st.fixed_dictionaries({"kind": st.just("host-path"), "path": paths}, optional={"mount_point": paths}),
    git,
)
airflow = some(
    home=paths,
    dags_folder=paths,
    sql_alchemy_conn=secrets,
    configmap=names,
    dags=dags,
    version=st.sampled_from(["1.10.15", "2", "2.9.2", "3.0.0rc1"]),
)


rules = st.lists(
    st.fixed_dictionaries(
        {
            "name": words,
            "action": st.sampled_from(["retry", "fail", "default"]),
            "on_reasons": st.lists(words, min_size=1),
        },
        optional={
            "on_exit_codes": st.fixed_dictionaries(
                {"values": st.lists(st.integers(1, 255), min_size=1, max_size=3, unique=True)},
                optional={"container": names, "operator": st.sampled_from(["In", "NotIn"])},
            ),
            "on_pod_conditions": st.lists(
                st.fixed_dictionaries(
                    {"type": words}, optional={"status": st.sampled_from(["True", "False"])}
                ),
                max_size=2,
            ),
            "on_categories": st.lists(st.sampled_from(["failed", "image", "unknown"]), max_size=2),
            "on_faults": st.lists(st.sampled_from(["infrastructure", "unknown"]), max_size=2),
        },
    ),
    max_size=2,
    unique_by=lambda rule: rule["name"],
)


def configs(*, nulls: bool = False):
    """Any configuration."""
    objects = st.dictionaries(text, json_values(nulls=nulls), max_size=3)
    fields = some(
        cluster=st.sampled_from(["auto", "local", "in-cluster", "kubeconfig"]),
        verify_ssl=st.booleans(),
        ssl_ca_cert=paths,
        request_timeout_s=seconds,
        namespace=names,
        namespaces=st.lists(names, max_size=3),
        owner=words,
        image=words,
        env=st.dictionaries(variables.map("e".__add__), text, max_size=3),
        secret_env=st.dictionaries(variables.map("s".__add__), st.tuples(names, secret_keys), max_size=3),
        credentials=st.dictionaries(variables.map("c".__add__), secrets, max_size=2),
        labels=st.dictionaries(keys, label_values, max_size=3),
        annotations=st.dictionaries(keys, text, max_size=3),
        affinity=objects,
        tolerations=st.lists(objects, max_size=2),
        pod_template=objects,
        run_as_user=st.integers(0, 70_000),
        max_creates_in_flight=st.integers(1, 500),
        outcome_delivery=st.sampled_from(["taken", "acknowledged"]),
        max_undelivered_pods=st.integers(1, 50_000),
        outcome_finalizer=st.booleans(),
        reported_attempt=st.sampled_from(["reuse", "error", "rerun"]),
        airflow=airflow,
        failure_policy=rules,
        pending=some(fatal_reasons=st.lists(words, max_size=2), unschedulable_grace_s=seconds),
        watch=some(page_size=st.integers(1, 10_000), streaming_lists=st.sampled_from(["auto", "on", "off"])),
        logs=some(
            folder=paths, follow=st.sampled_from(["all", "on-demand", "end", "off"]), timestamps=st.booleans()
        ),
        resources=some(cpu_request=st.sampled_from(["1", "500m"]), gpu=st.integers(0, 4)),
    )
    return fields.map(lambda values: RunnerConfig(**values))
