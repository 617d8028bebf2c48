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

    def test_the_user_of_a_service_accounts_token_is_named(self, any_kubectl) -> None:
        any_kubectl("create", "serviceaccount", "reviewed")
        token = any_kubectl("create", "token", "reviewed").strip()
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
        told = json.loads(any_kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]
        name = f"system:serviceaccount:{any_kubectl.namespace}:reviewed"
        assert (told["authenticated"], told["user"]["username"]) == (True, name)
        assert f"system:serviceaccounts:{any_kubectl.namespace}" in told["user"]["groups"]

    def test_an_unknown_token_is_not_authenticated(self, any_kubectl) -> None:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "none"}}
        told = json.loads(any_kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(review)))["status"]
        assert "authenticated" not in told
        assert told["error"]

    def test_an_impersonated_user_is_named(self, kubectl) -> None:
        output = kubectl("auth", "whoami", "--as=jane", "--as-group=people", "-o", "json")
        info = json.loads(output)["status"]["userInfo"]
        assert info == {"username": "jane", "groups": ["people", "system:authenticated"]}

    def test_the_state_of_the_cluster_is_dumped(self, any_kubectl, tmp_path) -> None:
        any_kubectl.pod("dumped", "echo the dumped line", wait="jsonpath={.status.phase}=Succeeded")
        folder = tmp_path / "dump"
        any_kubectl(
            "cluster-info", "dump", f"--output-directory={folder}", f"--namespaces={any_kubectl.namespace}"
        )
        below = folder / any_kubectl.namespace
        assert json.loads((folder / "nodes.json").read_text())["items"]
        assert [
            pod["metadata"]["name"] for pod in json.loads((below / "pods.json").read_text())["items"]
        ] == ["dumped"]
        assert "the dumped line" in (below / "dumped" / "logs.txt").read_text()

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
