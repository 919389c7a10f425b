"""What a container's process is given: its environment, and its command line."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from madvision_assets_tests.cluster.disk import ConfigError, Disk, data_of
from madvision_assets_tests.cluster.objects import Object
from madvision_assets_tests.cluster.store import Store

POD_IP = "127.0.0.1"


@dataclass(frozen=True)
class Surroundings:
    """What every container of a pod finds, whatever its manifest says.

    Attributes:
        store: holds ConfigMaps and Secrets.
        pod: the pod.
        disk: its disk.
        programs: folder that comes first in PATH.
        kubeconfig: how it reaches the API; None for a pod without a token.
    """

    store: Store
    pod: Object
    disk: Disk
    programs: Path
    kubeconfig: Path | None

    def environment(self, container: Object) -> dict[str, str]:
        """The variables of a container.

        Raises:
            ConfigError: a ConfigMap, a Secret or a key is not there.
        """
        variables: dict[str, str] = {}
        for source in container.get("envFrom", []):
            variables |= {source.get("prefix", "") + key: value for key, value in self._entries(source).items()}
        for entry in container.get("env", []):
            value = self._value(entry, variables)
            if value is not None:
                variables[entry["name"]] = value
        given = {name: self.disk.translate(container, value) for name, value in variables.items()}
        base = {
            "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.disk.home),
            "TMPDIR": str(self.disk.temporary),
            "HOSTNAME": self.pod["metadata"]["name"],
            "LANG": "C.UTF-8",
        }
        return base | ({"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {}) | given

    def command(self, container: Object, words: list[str], environment: Mapping[str, str]) -> list[str]:
        """A command line of a container, with ``$(NAME)`` expanded and paths where they are here."""
        return [self.disk.translate(container, expand(word, environment)) for word in words]

    def _entries(self, source: Object) -> dict[str, str]:
        """All entries of the ConfigMap or Secret of an ``envFrom``."""
        kind = "ConfigMap" if "configMapRef" in source else "Secret"
        ref = source["configMapRef" if kind == "ConfigMap" else "secretRef"]
        optional = bool(ref.get("optional"))
        entries = data_of(self.store, kind, self.pod["metadata"]["namespace"], ref["name"], optional=optional)
        return {key: value.decode() for key, value in entries.items()}

    def _value(self, entry: Object, known: Mapping[str, str]) -> str | None:
        """The value of an entry of ``env``; None for an optional one that is not there."""
        source = entry.get("valueFrom")
        if source is None:
            return expand(entry.get("value") or "", known)
        if field := source.get("fieldRef"):
            return self._field(field["fieldPath"])
        kind = "ConfigMap" if "configMapKeyRef" in source else "Secret"
        ref = source["configMapKeyRef" if kind == "ConfigMap" else "secretKeyRef"]
        optional, namespace = bool(ref.get("optional")), self.pod["metadata"]["namespace"]
        found = data_of(self.store, kind, namespace, ref["name"], optional=optional).get(ref["key"])
        if found is None and not optional:
            raise ConfigError(f"couldn't find key {ref['key']} in {kind} {namespace}/{ref['name']}")
        return None if found is None else found.decode()

    def _field(self, path: str) -> str:
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        fields = {
            "metadata.name": metadata["name"],
            "metadata.namespace": metadata["namespace"],
            "metadata.uid": metadata["uid"],
            "spec.nodeName": spec["nodeName"],
            "spec.serviceAccountName": spec["serviceAccountName"],
            "status.podIP": POD_IP,
            "status.hostIP": POD_IP,
        }
        if label := re.fullmatch(r"metadata\.labels\['(.+)'\]", path):
            return str(metadata["labels"].get(label[1], ""))
        if path not in fields:
            raise ConfigError(f"unsupported fieldPath: {path}")
        return str(fields[path])


def expand(text: str, variables: Mapping[str, str]) -> str:
    """A value with ``$(NAME)`` replaced where NAME is known, and ``$$`` as one dollar sign."""

    def replaced(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]+)\)", replaced, text)
