"""Kubeconfigs as the tools of well-known kinds of clusters write them."""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from tests.support.access.case import (
    V1BETA1,
    Case,
    Place,
    answering,
    certificates,
    document,
    token,
    write_named,
)


def _minikube(place: Place) -> None:
    certificate, key = place.server.client
    files = {"ca.crt": place.server.authority, "client.crt": certificate, "client.key": key}
    paths = {name: str(place.put(f".minikube/{name}", content)) for name, content in files.items()}
    extension = [{"name": "context_info", "extension": {"provider": "minikube.sigs.k8s.io"}}]
    cluster = {"certificate-authority": paths["ca.crt"], "extensions": extension}
    user = {"client-certificate": paths["client.crt"], "client-key": paths["client.key"]}
    place.write(
        yaml.safe_dump(
            document(
                {"server": place.server.https, **cluster}, user, namespace="default", extensions=extension
            )
        )
    )


def _eks(place: Place) -> None:
    place.program(
        "bin/aws",
        'test "$*" = "--region eu-west-1 eks get-token --cluster-name prod" || exit 9\n'
        + token("k8s-aws-v1.abc", version=V1BETA1, expirationTimestamp="2040-01-01T00:00:00Z"),
    )
    args = ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "prod"]
    user = {
        "exec": {
            "apiVersion": V1BETA1,
            "command": "aws",
            "args": args,
            "env": [{"name": "AWS_PROFILE", "value": "p"}],
        }
    }
    write_named(place, "arn:aws:eks:eu-west-1:1234:cluster/prod", {}, user)


def _gke(place: Place) -> None:
    place.program(
        "bin/gke-gcloud-auth-plugin",
        token("ya29.abc", version=V1BETA1, expirationTimestamp="2040-01-01T00:00:00Z"),
    )
    user = {
        "exec": {
            "apiVersion": V1BETA1,
            "command": "gke-gcloud-auth-plugin",
            "installHint": "Install it.",
            "provideClusterInfo": True,
        }
    }
    write_named(place, "gke_project_europe-west1_prod", {}, user)


def _aks(place: Place) -> None:
    place.program(
        "bin/kubelogin",
        'test "$1 $2" = "get-token --login" || exit 9\n' + token("eyJ0.e30.c2ln", version=V1BETA1),
    )
    args = ["get-token", "--login", "azurecli", "--server-id", "6dae42f8"]
    user = {
        "exec": {
            "apiVersion": V1BETA1,
            "command": "kubelogin",
            "args": args,
            "env": None,
            "provideClusterInfo": False,
        }
    }
    write_named(place, "aks-prod", {}, user)


def _teleport(place: Place) -> None:
    certificate, key = place.server.client
    status = {
        "clientCertificateData": certificate.decode(),
        "clientKeyData": key.decode(),
        "expirationTimestamp": "2040-01-01T00:00:00Z",
    }
    place.program("bin/tsh", answering(status, version=V1BETA1))
    user = {"exec": {"apiVersion": V1BETA1, "command": "tsh", "args": ["kube", "credentials"]}}
    write_named(place, "teleport", {"tls-server-name": "kubernetes.example"}, user)


def cases() -> Iterator[Case]:
    yield Case(
        "k3s: client certificate, context `default`",
        lambda p: write_named(p, "default", {}, certificates(p)),
        ("namespace default", "client certificate"),
    )
    yield Case(
        "kind: client certificate, context `kind-kind`",
        lambda p: write_named(p, "kind-kind", {}, certificates(p)),
        ("namespace default", "client certificate"),
    )
    yield Case(
        "minikube: certificates in files, extensions", _minikube, ("namespace default", "client certificate")
    )
    yield Case(
        "kubeadm: `https://[::1]:6443`, client certificate",
        lambda p: write_named(p, "kubernetes-admin@kubernetes", {"server": p.server.ipv6}, certificates(p)),
        ("namespace default", "client certificate"),
    )
    yield Case(
        "EKS: `aws eks get-token`", _eks, ("namespace default", "Authorization: Bearer k8s-aws-v1.abc")
    )
    yield Case("GKE: `gke-gcloud-auth-plugin`", _gke, ("namespace default", "Authorization: Bearer ya29.abc"))
    yield Case(
        "AKS: `kubelogin get-token`", _aks, ("namespace default", "Authorization: Bearer eyJ0.e30.c2ln")
    )
    yield Case(
        "OpenShift: token, context `team/api:6443/me`, namespace `team`",
        lambda p: write_named(p, "team/api-example:6443/me", {}, {"token": "sha256~abc"}, namespace="team"),
        ("namespace team", "Authorization: Bearer sha256~abc"),
    )
    yield Case(
        "Rancher: server URL with a path",
        lambda p: write_named(
            p, "prod", {"server": f"{p.server.https}/k8s/clusters/c-m-1"}, {"token": "kubeconfig-u-1:abc"}
        ),
        ("namespace default", "below /k8s/clusters/c-m-1", "Authorization: Bearer kubeconfig-u-1:abc"),
    )
    yield Case(
        "Teleport: plugin that grants a client certificate, `tls-server-name`",
        _teleport,
        ("namespace default", "client certificate"),
    )
    yield Case(
        "`kubectl proxy`: plain HTTP, no user",
        lambda p: p.write(yaml.safe_dump(document({"server": p.server.http}, {}))),
        ("namespace team",),
    )
