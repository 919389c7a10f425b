"""The API answers the official client as Kubernetes' does: errors, watches, selections, and roles."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, watch  # type: ignore[import-untyped]
from kubernetes.client.exceptions import ApiException  # type: ignore[import-untyped]

from madvision_assets_tests.cluster.client import (
    LIMIT_S,
    NAMESPACE,
    SLEEP,
    ClusterClient,
    cluster_client,
    job,
    named,
    python,
)
from madvision_assets_tests.waiting import wait_for

# What a pod may do, found out from within with the official client.
ASK = """
    from kubernetes import client, config
    config.load_kube_config()
    def tried(what, **options):
        try:
            what("default", **options)
            return "allowed"
        except client.ApiException as error:
            return f"{error.status} {error.body}"
    print(tried(client.CoreV1Api().list_namespaced_pod))
    print(tried(client.BatchV1Api().create_namespaced_job, body={}))
    print(tried(lambda name: client.CoreV1Api().list_namespaced_pod("kube-system")))
    for settings in ("settings", "others"):
        print(tried(lambda name: client.CoreV1Api().read_namespaced_config_map(settings, name)))
"""


def settings(**data: str) -> dict[str, Any]:
    return named("v1", "ConfigMap", "settings", data=data)


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"apiVersion": "batch/v2"}, 400, "no matches for kind"),
        ({"spec": {"template": {"spec": {"containers": [], "tolerances": []}}}}, 422, "tolerances"),
        ({"spec": {"backoffLimit": "0"}}, 422, "backoffLimit"),
        ({"metadata": {}}, 422, "metadata.name: Required value"),
    ],
    ids=["unknown version", "unknown field", "wrong type", "no name"],
)
def test_what_kubernetes_schema_refuses_is_refused(
    k8s: ClusterClient, change: dict[str, Any], code: int, message: str
) -> None:
    with pytest.raises(ApiException) as caught:
        k8s.run({**job("wrong", SLEEP), **change})
    status = json.loads(caught.value.body)
    assert (caught.value.status, status["kind"], status["status"]) == (code, "Status", "Failure")
    assert message in status["message"]
    assert not k8s.cluster.history


def test_names_are_unique_and_missing_ones_are_not_found(k8s: ClusterClient) -> None:
    k8s.cluster.apply([settings(a="1")])
    with pytest.raises(ApiException, match="AlreadyExists"):
        k8s.core.create_namespaced_config_map(NAMESPACE, settings())
    with pytest.raises(ApiException, match="NotFound"):
        k8s.core.read_namespaced_config_map("other", NAMESPACE)
    with pytest.raises(ApiException, match=r"namespaces .*nowhere.* not found"):
        k8s.core.create_namespaced_config_map("nowhere", {"metadata": {"name": "settings"}})
    pod = named("v1", "Pod", "p", spec={"priorityClassName": "urgent", "containers": [{"name": "main"}]})
    with pytest.raises(RuntimeError, match=r'pods "p" is forbidden: no PriorityClass with name urgent was found'):
        k8s.cluster.apply([pod])


def test_an_object_is_replaced_and_patched_but_not_over_a_newer_one(k8s: ClusterClient) -> None:
    k8s.cluster.apply([settings(a="1", b="2")])
    read = k8s.core.read_namespaced_config_map("settings", NAMESPACE)
    k8s.core.patch_namespaced_config_map("settings", NAMESPACE, {"data": {"a": None, "c": "3"}})
    assert k8s.core.read_namespaced_config_map("settings", NAMESPACE).data == {"b": "2", "c": "3"}
    with pytest.raises(ApiException, match="Conflict"):
        k8s.core.replace_namespaced_config_map("settings", NAMESPACE, read)
    k8s.cluster.apply([settings(d="4")])
    after = k8s.core.read_namespaced_config_map("settings", NAMESPACE)
    assert (after.data, after.metadata.uid) == ({"d": "4"}, read.metadata.uid)


def test_the_template_of_a_job_cannot_be_changed(k8s: ClusterClient) -> None:
    k8s.run(job("fixed", ["true"]))
    with pytest.raises(ApiException, match=r"spec\.template: Invalid value: field is immutable"):
        k8s.batch.patch_namespaced_job("fixed", NAMESPACE, job("fixed", ["false"]))
    assert [submitted["metadata"]["name"] for submitted in k8s.cluster.submitted_jobs] == ["fixed"]


def test_a_watch_sees_every_change_in_order(k8s: ClusterClient) -> None:
    k8s.run(job("watched", ["true"]))
    k8s.ended("watched")
    stream = watch.Watch().stream(k8s.core.list_namespaced_pod, NAMESPACE, resource_version="1", timeout_seconds=1)
    changes = [(change["type"], change["object"]) for change in stream]
    seen = [(kind, pod.status.phase, int(pod.metadata.resource_version)) for kind, pod in changes]
    assert seen[0][:2] == ("ADDED", "Pending")
    assert {kind for kind, _, _ in seen[1:]} == {"MODIFIED"}
    phases = [phase for _, phase, _ in seen]
    assert phases == sorted(phases, key=["Pending", "Running", "Succeeded"].index)
    assert [version for *_, version in seen] == sorted({version for *_, version in seen})


def test_a_watch_of_a_selection_sees_what_leaves_it_as_deleted(k8s: ClusterClient) -> None:
    k8s.run(job("passing", ["true"]))
    k8s.ended("passing")
    stream = watch.Watch().stream(
        k8s.core.list_namespaced_pod,
        NAMESPACE,
        resource_version="1",
        timeout_seconds=1,
        field_selector="status.phase=Running",
        label_selector="job-name in (passing, other)",
    )
    assert [change["type"] for change in stream if change["type"] != "MODIFIED"] == ["ADDED", "DELETED"]


def test_objects_are_selected_by_labels_and_fields(k8s: ClusterClient) -> None:
    for name, labels in (("one", {"a": "1", "b": "x"}), ("two", {"a": "2"}), ("three", {})):
        item = settings()
        item["metadata"] |= {"name": name, "labels": labels}
        k8s.cluster.apply([item])

    def chosen(**selectors: str) -> set[str]:
        return {item.metadata.name for item in k8s.core.list_namespaced_config_map(NAMESPACE, **selectors).items}

    assert chosen(label_selector="a") == {"one", "two"}
    assert chosen(label_selector="!a") == {"three"}
    assert chosen(label_selector="a=1,b=x") == {"one"}
    assert chosen(label_selector="a!=1") == {"two", "three"}
    assert chosen(label_selector="a in (1,2),b notin (x)") == {"two"}
    assert chosen(field_selector="metadata.name=two") == {"two"}
    assert chosen(field_selector="metadata.name!=two") == {"one", "three"}


def test_a_namespace_takes_everything_in_it_along(k8s: ClusterClient) -> None:
    k8s.cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "brief"}}])
    item = settings()
    item["metadata"]["namespace"] = "brief"
    k8s.cluster.apply([item])
    k8s.core.delete_namespace("brief")
    wait_for(lambda: not k8s.core.list_namespaced_config_map("brief").items, LIMIT_S)


def test_a_pod_may_do_what_the_role_of_its_account_allows(tmp_path: Path) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"], "resourceNames": ["settings"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": NAMESPACE}]
    with cluster_client(tmp_path, rbac=True) as k8s:
        k8s.cluster.apply(
            [
                settings(),
                named("v1", "ServiceAccount", "reader"),
                named("rbac.authorization.k8s.io/v1", "Role", "reader", rules=rules),
                named("rbac.authorization.k8s.io/v1", "RoleBinding", "reader", roleRef=role, subjects=subjects),
            ]
        )
        k8s.run(job("asks", python(ASK), pod={"serviceAccountName": "reader"}))
        assert k8s.ended("asks").succeeded == 1
        listed, created, elsewhere, own, others = k8s.log(k8s.pod_of("asks")).splitlines()
        refused = k8s.cluster.refused
    assert (listed, own) == ("allowed", "allowed")
    assert [answer[:3] for answer in (created, elsewhere, others)] == ["403"] * 3
    user = '"system:serviceaccount:default:reader"'
    assert refused[0] == (
        f'jobs.batch is forbidden: User {user} cannot create resource "jobs" in API group "batch" '
        'in the namespace "default"'
    )
    assert len(refused) == 3


def test_who_is_not_known_may_do_nothing_where_roles_are_enforced(tmp_path: Path) -> None:
    with cluster_client(tmp_path, rbac=True) as k8s:
        stranger = client.Configuration(host=k8s.core.api_client.configuration.host)
        with client.ApiClient(stranger) as api, pytest.raises(ApiException, match="Unauthorized"):
            client.CoreV1Api(api).list_namespaced_pod(NAMESPACE)


def test_a_pod_that_wants_no_token_gets_none(k8s: ClusterClient) -> None:
    k8s.run(job("tokenless", ["env"], pod={"automountServiceAccountToken": False}))
    k8s.ended("tokenless")
    assert "KUBECONFIG" not in k8s.log(k8s.pod_of("tokenless"))
