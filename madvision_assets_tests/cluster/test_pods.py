"""Pods get what their manifests say: image, environment, volumes, probes, init containers; and nothing else."""

import base64
import threading
from pathlib import Path

import pytest

from madvision_assets_tests.cluster import Object
from madvision_assets_tests.cluster.client import (
    IMAGE,
    LIMIT_S,
    SLEEP,
    ClusterClient,
    cluster_client,
    deployment,
    job,
    named,
    python,
    variables,
)
from madvision_assets_tests.cluster.objects import age_s, condition, holds
from madvision_assets_tests.real_servers import free_port
from madvision_assets_tests.waiting import wait_for

pytestmark = pytest.mark.whole

GRPC_SERVER = """
    import sys, concurrent.futures, grpc
    from grpc_health.v1 import health, health_pb2_grpc
    server = grpc.server(concurrent.futures.ThreadPoolExecutor())
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port("127.0.0.1:" + sys.argv[1])
    server.start()
    server.wait_for_termination()
"""
SETTINGS = named("v1", "ConfigMap", "settings", data={"MADVISION_HOME": "/var/lib/app", "greeting.txt": "hello"})
SECRET = named("v1", "Secret", "password", data={"password": base64.b64encode(b"p4ss").decode()})


def test_an_image_that_cannot_be_pulled_holds_a_pod_up_until_it_can(k8s: ClusterClient) -> None:
    k8s.run(job("imageless", ["true"], image="nowhere:9"))
    assert k8s.waiting_because("imageless", "ErrImagePull") == 'Failed to pull image "nowhere:9": not found'
    k8s.waiting_because("imageless", "ImagePullBackOff")
    pod = k8s.pod_of("imageless")
    assert pod["status"]["phase"] == "Pending"
    assert {"Failed", "BackOff"} <= k8s.events(pod["metadata"]["name"]).keys()
    k8s.cluster.images.add("nowhere:9")
    assert k8s.ended("imageless").succeeded == 1


def test_what_is_missing_holds_a_pod_up_until_it_is_there(k8s: ClusterClient) -> None:
    secret = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "password", "key": "password"}}}
    k8s.run(job("secretless", ["sh", "-c", "echo $PASSWORD"], env=[secret]))
    assert k8s.waiting_because("secretless", "CreateContainerConfigError") == 'secret "password" not found'
    volume = {"volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}
    k8s.run(job("unmounted", ["true"], pod=volume))
    name = k8s.pod_of("unmounted")["metadata"]["name"]
    wait_for(lambda: 'configmap "settings" not found' in k8s.events(name).get("FailedMount", ""), LIMIT_S)
    k8s.cluster.apply([SETTINGS, SECRET])
    assert k8s.ended("secretless").succeeded == 1
    assert k8s.ended("unmounted").succeeded == 1
    assert k8s.log(k8s.pod_of("secretless")) == "p4ss\n"


def test_a_container_has_the_environment_that_its_manifest_says(k8s: ClusterClient) -> None:
    k8s.cluster.apply([named("v1", "ConfigMap", "settings", data={"COLOUR": "red", "SIZE": "small"})])
    env = [
        {"name": "SIZE", "value": "big"},
        {"name": "ALL", "value": "$(SIZE) $(COLOUR) $(UNKNOWN) $$(SIZE)"},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}}},
    ]
    main: Object = {"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}], "args": ["$(ALL)"]}
    k8s.run(job("environment", ["sh", "-c", "env; echo ARGUMENT=$0"], **main))
    k8s.ended("environment")
    pod = k8s.pod_of("environment")
    found = variables(k8s.log(pod))
    name = pod["metadata"]["name"]
    assert (found["COLOUR"], found["SIZE"], found["POD"], found["HOSTNAME"]) == ("red", "big", name, name)
    assert found["ALL"] == found["ARGUMENT"] == "big red $(UNKNOWN) $(SIZE)"
    ours = {"PATH", "HOME", "TMPDIR", "HOSTNAME", "LANG", "KUBECONFIG"}
    assert found.keys() - ours - {"PWD", "SHLVL", "_"} == {"COLOUR", "SIZE", "ALL", "POD", "ARGUMENT"}


def test_volumes_are_where_the_environment_and_the_command_say(k8s: ClusterClient) -> None:
    k8s.cluster.apply([SETTINGS, SECRET])
    projected = {"sources": [{"secret": {"name": "password"}}, {"configMap": {"name": "settings"}}]}
    volumes = [
        {"name": "home", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "settings"}},
        {"name": "both", "projected": projected},
    ]
    mounts = [
        {"name": "home", "mountPath": "/var/lib/app"},
        {"name": "settings", "mountPath": "/etc/app/greeting.txt", "subPath": "greeting.txt"},
        {"name": "both", "mountPath": "/etc/both"},
    ]
    env = [{"name": "CONFIG", "value": "/etc/app"}, {"name": "ELSEWHERE", "value": "/var/library"}]
    main: Object = {"env": env, "envFrom": [{"configMapRef": {"name": "settings"}}], "volumeMounts": mounts}
    script = 'cat $CONFIG/greeting.txt "$0"; echo made > $MADVISION_HOME/new; cat "$1"; echo " $ELSEWHERE"'
    arguments = ["/var/lib/app/new", "/etc/both/password"]
    k8s.run(job("volumes", ["sh", "-c", script], pod={"volumes": volumes}, args=arguments[::-1], **main))
    k8s.ended("volumes")
    assert k8s.log(k8s.pod_of("volumes")) == "hellop4ssmade\n /var/library\n"
    assert not Path("/var/lib/app").exists()


def test_init_containers_run_first_one_after_the_other(k8s: ClusterClient) -> None:
    shared = {"image": IMAGE, "volumeMounts": [{"name": "work", "mountPath": "/work"}]}
    init = [
        {"name": word, "command": ["sh", "-c", f"echo {word} >> $0"], "args": ["/work/words"], **shared}
        for word in ("one", "two")
    ]
    pod = {"initContainers": init, "volumes": [{"name": "work", "emptyDir": {}}]}
    k8s.run(job("prepared", ["cat"], pod=pod, args=["/work/words"], volumeMounts=shared["volumeMounts"]))
    k8s.ended("prepared")
    assert k8s.log(k8s.pod_of("prepared"), container="main") == "one\ntwo\n"
    init[0]["command"] = ["false"]
    k8s.run(job("unprepared", ["true"], pod=pod))
    assert k8s.ended("unprepared").failed == 1


def test_a_program_that_is_not_there_does_not_start(k8s: ClusterClient) -> None:
    k8s.run(job("mistyped", ["no-such-program"]))
    k8s.ended("mistyped")
    ended = k8s.pod_of("mistyped")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert "no-such-program" in ended["message"]


def test_a_log_is_read_from_its_end_and_followed(k8s: ClusterClient) -> None:
    program = "import time; print('one'); print('two'); time.sleep(1); print('three')"
    k8s.run(job("talker", python(program)))
    pod = k8s.in_phase("talker", "Running")
    wait_for(lambda: "two" in k8s.log(pod), LIMIT_S)
    assert k8s.log(pod, tail_lines=1) == "two\n"
    assert k8s.log(pod, follow=True) == "one\ntwo\nthree\n"


def test_a_container_starts_again_with_a_back_off(k8s: ClusterClient) -> None:
    k8s.cluster.apply([deployment("crashing", ["sh", "-c", "exit 7"])])

    def crashed() -> bool:
        [status] = k8s.cluster.pods({"app": "crashing"})[0].get("status", {}).get("containerStatuses", [{}])
        waits = status.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff"
        return bool(waits and status["restartCount"] == 2 and status["lastState"]["terminated"]["exitCode"] == 7)

    wait_for(lambda: k8s.cluster.pods({"app": "crashing"}), LIMIT_S)
    wait_for(crashed, LIMIT_S)
    assert len(k8s.cluster.history) == 1


def test_a_pod_is_ready_when_its_probe_says_so_and_starts_again_when_another_does(k8s: ClusterClient) -> None:
    files = [{"name": "flags", "emptyDir": {}}]
    flags: Object = {"volumeMounts": [{"name": "flags", "mountPath": "/flags"}]}
    probe = {"periodSeconds": 1, "failureThreshold": 1}
    ready = {"exec": {"command": ["test", "-e", "/flags/ready"]}, **probe}
    alive = {"exec": {"command": ["test", "!", "-e", "/flags/ill"]}, **probe}
    item = deployment("probed", ["sh", "-c", "echo $0; sleep 60"], readinessProbe=ready, livenessProbe=alive, **flags)
    item["spec"]["template"]["spec"]["volumes"] = files
    item["spec"]["template"]["spec"]["containers"][0]["args"] = ["/flags"]
    k8s.cluster.apply([item])

    def status() -> tuple[bool, int]:
        [found] = k8s.cluster.pods({"app": "probed"})[0]["status"]["containerStatuses"]
        return found["ready"], found["restartCount"]

    wait_for(lambda: [pod["status"]["phase"] for pod in k8s.cluster.pods()] == ["Running"], LIMIT_S)
    assert status() == (False, 0)
    folder = Path(wait_for(lambda: k8s.log(k8s.cluster.pods()[0]), LIMIT_S).strip())
    (folder / "ready").touch()
    wait_for(lambda: status() == (True, 0), LIMIT_S)
    (folder / "ill").touch()
    wait_for(lambda: status()[1] == 1, LIMIT_S)


@pytest.mark.parametrize(
    ("server", "probe"),
    [
        (["python", "-m", "http.server"], {"httpGet": {"path": "/", "port": "main"}}),
        (["python", "-m", "http.server"], {"tcpSocket": {"port": "main"}}),
        (python(GRPC_SERVER), {"grpc": {}}),
    ],
    ids=["http", "tcp", "grpc"],
)
def test_a_server_is_ready_when_it_answers(k8s: ClusterClient, server: list[str], probe: Object) -> None:
    port = free_port()
    probe = {"grpc": {"port": port}} if "grpc" in probe else probe
    ports = [{"name": "main", "containerPort": port}]
    ready = {**probe, "periodSeconds": 1}
    k8s.cluster.apply(
        [
            deployment(
                "server", ["sh", "-c", 'sleep 1; exec "$0" "$@"', *server, str(port)], ports=ports, readinessProbe=ready
            )
        ]
    )
    wait_for(lambda: any(holds(found, "Ready") for found in k8s.cluster.pods()), LIMIT_S)
    [pod] = k8s.cluster.pods()
    became = condition(pod, "Ready")
    assert became
    assert age_s(pod["status"]["startTime"]) - age_s(became["lastTransitionTime"]) >= 1


def test_nothing_is_left_of_a_cluster(tmp_path: Path) -> None:
    threads = threading.active_count()
    with cluster_client(tmp_path) as k8s:
        k8s.run(job("stays", ["sh", "-c", "echo $HOME; sleep 61 & sleep 62"]))
        pod = k8s.in_phase("stays", "Running")
        home = wait_for(lambda: k8s.log(pod), LIMIT_S).strip()
        k8s.run(job("waits", SLEEP, image="nowhere:9"))
        k8s.waiting_because("waits", "ErrImagePull")
    assert threading.active_count() == threads
    assert not Path(home).exists()
    wait_for(lambda: not _processes_at(home), LIMIT_S)


def _processes_at(home: str) -> list[str]:
    """The processes that have this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
        except OSError:  # it is gone, or not ours
            continue
    return found
