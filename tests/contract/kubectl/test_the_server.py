"""kubectl commands about the server: versions, types, explanations, rights."""

from __future__ import annotations

import json
import re

import pytest


class TestTheServer:
    def test_the_server_has_a_version(self, any_kubectl) -> None:
        output = json.loads(any_kubectl("version", "-o", "json"))
        assert int(output["serverVersion"]["major"]) == 1
        assert int(re.match(r"\d+", output["serverVersion"]["minor"])[0]) >= 27

    def test_cluster_info_names_the_server(self, any_kubectl, cluster) -> None:
        output = re.sub(r"\x1b\[[\d;]*m", "", any_kubectl("cluster-info"))
        assert f"control plane is running at {cluster.url}" in output

    def test_the_types_are_listed(self, any_kubectl) -> None:
        rows = [line.split() for line in any_kubectl("api-resources").splitlines()]
        assert rows[0] == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
        assert ["pods", "po", "v1", "true", "Pod"] in rows
        assert ["leases", "coordination.k8s.io/v1", "true", "Lease"] in rows

    def test_the_versions_of_the_groups_are_listed(self, any_kubectl) -> None:
        assert {"v1", "coordination.k8s.io/v1"} <= set(any_kubectl("api-versions").split())

    def test_explain_describes_a_field(self, any_kubectl) -> None:
        output = any_kubectl("explain", "pod.spec.containers.imagePullPolicy")
        assert re.search(r"FIELD: +imagePullPolicy <string>", output)
        assert "IfNotPresent" in output

    def test_explain_of_an_unknown_field_is_an_error(self, any_kubectl) -> None:
        assert 'field "colour" does not exist' in any_kubectl.fails("explain", "pod.spec.colour")

    @pytest.mark.parametrize("verb", ["create", "delete", "watch"])
    def test_the_user_may_do_everything(self, any_kubectl, verb: str) -> None:
        assert any_kubectl("auth", "can-i", verb, "pods").strip() == "yes"

    def test_the_user_is_named(self, any_kubectl) -> None:
        output = any_kubectl("auth", "whoami", "-o", "json") if any_kubectl.version >= (1, 28) else "{}"
        assert any_kubectl.version < (1, 28) or json.loads(output)["status"]["userInfo"]["username"]

    def test_a_request_without_a_token_is_refused(self, any_kubectl, cluster, tmp_path) -> None:
        message = any_kubectl.fails(
            "--token=wrong",
            f"--server={cluster.url}",
            "--kubeconfig=/dev/null",
            "--insecure-skip-tls-verify",
            "get",
            "pods",
        )
        assert "You must be logged in to the server" in message

    def test_there_is_a_ready_node(self, any_kubectl) -> None:
        header, row = any_kubectl("get", "nodes").splitlines()[:2]
        assert header.split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
        assert row.split()[1].startswith("Ready")


class TestUnsupportedCommands:
    """Commands for which a LocalCluster gives kubectl's own error; a real cluster supports them."""

    @pytest.fixture(autouse=True)
    def _local_only(self, cluster) -> None:
        if not cluster.is_local:
            pytest.skip("a real cluster has these")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("top", "pod"), "Metrics API not available"),
            (("debug", "pod/seen", "--image=i", "--profile=general"), "ephemeral containers are disabled"),
            (("create", "deployment", "d", "--image=i"), "the server could not find the requested resource"),
            (("get", "deployments"), 'the server doesn\'t have a resource type "deployments"'),
        ],
        ids=["top", "debug", "create deployment", "get deployments"],
    )
    def test_an_unsupported_command_is_an_error(
        self, kubectl, arguments: tuple[str, ...], message: str
    ) -> None:
        if arguments[0] == "debug":
            kubectl.pod("seen")
        assert message in kubectl.fails(*arguments)


class TestNamespaces:
    def test_a_namespace_is_deleted_with_its_content(self, kubectl) -> None:
        name = f"{kubectl.namespace}-short"
        assert kubectl("create", "namespace", name) == f"namespace/{name} created\n"
        kubectl("--namespace", name, "create", "configmap", "inside")
        assert kubectl("delete", "namespace", name).startswith(f'namespace "{name}" deleted')
        assert "NotFound" in kubectl.fails("get", "namespace", name)

    def test_a_missing_namespace_is_an_error(self, kubectl) -> None:
        message = kubectl.fails("--namespace", "nowhere", "create", "configmap", "x")
        assert message.endswith('namespaces "nowhere" not found')

    def test_quotas_are_enforced(self, kubectl) -> None:
        kubectl("create", "quota", "few", "--hard=count/configmaps=2")
        kubectl("create", "configmap", "fits")
        message = kubectl.fails("create", "configmap", "does-not-fit")
        assert re.search(
            r'configmaps "does-not-fit" is forbidden: exceeded quota: few, requested: count/configmaps=1',
            message,
        )
