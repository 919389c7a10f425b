"""A pod's disk: its volumes, and each container's view of them.

There are no mount namespaces here: a ``mountPath`` becomes a folder (a link to the volume) below the container's own
root folder, and paths in its environment, command and arguments that begin with a ``mountPath`` are made to point
there. Content of files is not changed. A ``hostPath`` is an empty folder; a claim is a folder that its users share.
"""

import base64
import shutil
from pathlib import Path

from madvision_assets_tests.cluster.objects import Object
from madvision_assets_tests.cluster.store import Store


class ConfigError(Exception):
    """A ConfigMap or Secret, or a key in one, is not there."""


def data_of(store: Store, kind: str, namespace: str, name: str, *, optional: bool = False) -> dict[str, bytes]:
    """The entries of a ConfigMap or Secret.

    Raises:
        ConfigError: it is not there, and not optional.
    """
    found = store.find(kind, namespace, name)
    if found is None:
        if optional:
            return {}
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    plain = found.get("stringData" if kind == "Secret" else "data") or {}
    coded = found.get("data" if kind == "Secret" else "binaryData") or {}
    entries = {key: base64.b64decode(value) for key, value in coded.items()}
    return entries | {key: value.encode() for key, value in plain.items()}


class Disk:
    """The disk of one pod.

    Args:
        folder: where it is; made here.
        claims: folder of the persistent volume claims of all pods.
        pod: whose it is.
    """

    def __init__(self, folder: Path, claims: Path, pod: Object) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.temporary = folder / "tmp"
        self._claims = claims
        self._pod = pod
        for made in (self.home, self.temporary):
            made.mkdir(parents=True)

    def fill(self, store: Store) -> None:
        """Make the volumes, and link them into each container's root.

        Raises:
            ConfigError: a ConfigMap or Secret is not there; may be tried again.
        """
        spec = self._pod["spec"]
        volumes = {volume["name"]: self._volume(store, volume) for volume in spec.get("volumes", [])}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            mounts = container.get("volumeMounts", [])
            for mount in sorted(mounts, key=lambda mount: len(mount["mountPath"])):
                link = self._inside(container, mount["mountPath"])
                link.parent.mkdir(parents=True, exist_ok=True)
                source = volumes[mount["name"]] / str(mount.get("subPath", ""))
                if not source.exists():
                    source.mkdir(parents=True)
                if not link.is_symlink():
                    link.symlink_to(source)

    def translate(self, container: Object, text: str) -> str:
        """A value, made to point to the disk if it is a path that begins with a mount's."""
        for root in _roots(container):
            if text == root or text.startswith(f"{root}/"):
                return str(self._inside(container, text))
        return text

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _inside(self, container: Object, path: str) -> Path:
        return self.folder / "root" / str(container["name"]) / path.lstrip("/")

    def _volume(self, store: Store, volume: Object) -> Path:
        if claim := volume.get("persistentVolumeClaim"):
            folder = self._claims.joinpath(self._pod["metadata"]["namespace"], claim["claimName"])
        else:
            folder = self.folder.joinpath("volumes", volume["name"])
        folder.mkdir(parents=True, exist_ok=True)
        for source in volume.get("projected", {}).get("sources", [volume]):
            for name, content in self._files(store, source).items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        return folder

    def _files(self, store: Store, source: Object) -> dict[str, bytes]:
        """The files that a ConfigMap or Secret gives a volume."""
        for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if chosen := source.get(field):
                name, optional = chosen.get("name") or chosen.get("secretName"), bool(chosen.get("optional"))
                entries = data_of(store, kind, self._pod["metadata"]["namespace"], name, optional=optional)
                items = chosen.get("items") or [{"key": key, "path": key} for key in entries]
                missing = [item["key"] for item in items if item["key"] not in entries]
                if missing and not optional:
                    raise ConfigError(f"references non-existent config key: {missing[0]}")
                return {item["path"]: entries[item["key"]] for item in items if item["key"] in entries}
        return {}


def _roots(container: Object) -> list[str]:
    """The folders that are somewhere else here; of a single file that is mounted, the folder that it lies in."""
    mounts = container.get("volumeMounts", [])
    return [
        mount["mountPath"].rpartition("/")[0] if mount.get("subPath") else mount["mountPath"].rstrip("/")
        for mount in mounts
    ]
