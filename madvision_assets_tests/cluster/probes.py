"""Probes: whether a container has started, lives, and may be sent requests."""

import http.client
import socket
import subprocess
import time
from http import HTTPStatus

from madvision_assets_tests.cluster.container import Container
from madvision_assets_tests.cluster.environment import POD_IP, Surroundings
from madvision_assets_tests.cluster.objects import Object


class Probe:
    """One probe of a container, asked at its own pace.

    Args:
        spec: as the container's.
        container: who is probed.
        around: for a probe that is a command.

    Attributes:
        passed: the verdict after as many successes or failures as the probe wants; None before the first.
    """

    def __init__(self, spec: Object, container: Container, around: Surroundings) -> None:
        self._spec = spec
        self._container = container
        self._around = around
        self._due = time.monotonic() + spec.get("initialDelaySeconds", 0)
        self._row = 0  # successes in a row; failures in a row are negative
        self.passed: bool | None = None

    def look(self) -> None:
        """Ask, if it is time to."""
        if time.monotonic() < self._due:
            return
        good = self._asked()
        self._due = time.monotonic() + self._spec.get("periodSeconds", 10)
        self._row = (max(self._row, 0) + 1) if good else (min(self._row, 0) - 1)
        if self._row >= self._spec.get("successThreshold", 1):
            self.passed = True
        elif -self._row >= self._spec.get("failureThreshold", 3):
            self.passed = False

    def _asked(self) -> bool:
        limit_s = self._spec.get("timeoutSeconds", 1)
        try:
            if "httpGet" in self._spec:
                return self._get(self._spec["httpGet"], limit_s)
            if "tcpSocket" in self._spec:
                socket.create_connection((POD_IP, self._port(self._spec["tcpSocket"]["port"])), limit_s).close()
                return True
            if "grpc" in self._spec:
                return self._serves(self._spec["grpc"], limit_s)
            return self._run(self._spec["exec"]["command"], limit_s)
        except (OSError, http.client.HTTPException, subprocess.TimeoutExpired):
            return False

    def _get(self, spec: Object, limit_s: float) -> bool:
        connection = http.client.HTTPConnection(POD_IP, self._port(spec["port"]), timeout=limit_s)
        try:
            headers = {header["name"]: header["value"] for header in spec.get("httpHeaders", [])}
            connection.request("GET", spec.get("path", "/"), headers=headers)
            return HTTPStatus.OK <= connection.getresponse().status < HTTPStatus.BAD_REQUEST
        finally:
            connection.close()

    def _serves(self, spec: Object, limit_s: float) -> bool:
        import grpc  # type: ignore[import-untyped]  # only some tests need it
        from grpc_health.v1.health_pb2 import (  # type: ignore[import-untyped]
            HealthCheckRequest,
            HealthCheckResponse,
        )
        from grpc_health.v1.health_pb2_grpc import HealthStub  # type: ignore[import-untyped]

        try:
            with grpc.insecure_channel(f"{POD_IP}:{self._port(spec['port'])}") as channel:
                answer = HealthStub(channel).Check(HealthCheckRequest(service=spec.get("service", "")), timeout=limit_s)
        except grpc.RpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)

    def _run(self, words: list[str], limit_s: float) -> bool:
        environment = self._container.environment
        command = self._around.command(self._container.spec, words, environment)
        folder = self._around.disk.home
        done = subprocess.run(command, env=environment, cwd=folder, timeout=limit_s, capture_output=True, check=False)
        return done.returncode == 0

    def _port(self, port: int | str) -> int:
        """A port by its number, or by its name in the container."""
        named = {entry.get("name"): entry["containerPort"] for entry in self._container.spec.get("ports", [])}
        return int(named.get(port, port))


class Probes:
    """The probes of one container since it was last started."""

    def __init__(self, container: Container, around: Surroundings) -> None:
        spec = container.spec
        self._container = container
        self._probes = {
            name: Probe(spec[f"{name}Probe"], container, around)
            for name in ("startup", "liveness", "readiness")
            if f"{name}Probe" in spec
        }

    def look(self) -> str:
        """Ask what is due, and set whether the container is ready; the name of a probe that wants a restart."""
        if startup := self._probes.get("startup"):
            if not startup.passed:
                startup.look()
            if not startup.passed:
                return "startup" if startup.passed is False else ""
        for name in self._probes.keys() & {"liveness", "readiness"}:
            self._probes[name].look()
        readiness, liveness = self._probes.get("readiness"), self._probes.get("liveness")
        self._container.ready = readiness is None or bool(readiness.passed)
        return "liveness" if liveness and liveness.passed is False else ""
