"""Checks what an operator edits, before a cluster sees it.

    python deployments/check.py kubernetes deployments/kubernetes/overlays/aws
    helm pull dagster --repo https://dagster-io.github.io/helm --version 1.13.27 --untar
    python deployments/check.py helm deployments/kubernetes/helm/values.yaml --schema dagster/values.schema.json

A finding is a sentence with its place; the exit status is 1 if there is one. Needs the development packages, and
``kubectl`` for the first.
"""

import argparse
import difflib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
from kubernetes_validate.utils import schema_contents  # type: ignore[import-untyped]
from referencing import Registry, Resource

KUBERNETES_VERSION = "1.32.0"
STRICT = f"kubernetes-json-schema/v{KUBERNETES_VERSION}-local-strict"
RENDER_LIMIT_S = 60

Json = dict[str, Any]


class NotKubernetes(Exception):  # noqa: N818 - no error, but a kind that we cannot judge
    """An object is of a kind that Kubernetes does not bring, such as one of a custom resource definition."""


def rendered(overlay: Path) -> list[Json]:
    """What ``kubectl kustomize`` makes of an overlay.

    Raises:
        ValueError: kubectl refuses it; the message is kubectl's.
    """
    told = subprocess.run(
        ["kubectl", "kustomize", str(overlay)], check=False, capture_output=True, text=True, timeout=RENDER_LIMIT_S
    )
    if told.returncode:
        raise ValueError(told.stderr.strip())
    return [each for each in yaml.safe_load_all(told.stdout) if each]


def kubernetes_findings(thing: Json) -> Iterator[str]:
    """What Kubernetes would refuse of an object.

    Raises:
        NotKubernetes: it is of no kind of Kubernetes.
    """
    name = f"{thing['kind']} {thing['metadata']['name']}"
    group, _, version = thing["apiVersion"].rpartition("/")
    parts = [thing["kind"].lower(), group.partition(".")[0], version]
    try:
        schema = schema_contents(f"{STRICT}/{'-'.join(filter(None, parts))}.json", KUBERNETES_VERSION)
    except FileNotFoundError:
        raise NotKubernetes(f"{name} is of no kind of Kubernetes {KUBERNETES_VERSION}") from None
    validator = Draft202012Validator(schema, registry=Resource.from_contents(_definitions()) @ Registry())
    yield from (f"{name}: {sentence}" for sentence in _sentences(validator.iter_errors(thing)))


def helm_findings(values: Json, schema: Json) -> Iterator[str]:
    """What the schema of Dagster's chart has against values; keys that it does not know included."""
    definitions = _definitions()
    schema = deepcopy(schema)
    schema["$defs"] = {name: _closed(each, definitions) for name, each in schema["$defs"].items()}
    # The chart's own values stand below ours: only what is in a list has to be whole.
    whole = schema["$defs"]["UserDeployment"]
    for partial in (schema, *schema["$defs"].values()):
        if partial is not whole:
            partial.pop("required", None)
    validator = Draft202012Validator(
        {**schema, "additionalProperties": False}, registry=Resource.from_contents(definitions) @ Registry()
    )
    yield from _sentences(validator.iter_errors(values))


def _closed(definition: Json, kubernetes: Json) -> Json:
    """A definition of the chart that knows no keys but its own, and Kubernetes' definitions from beside us."""
    if "$ref" not in definition:
        return {**definition, "additionalProperties": False} if definition.get("properties") else definition
    place = definition["$ref"].partition("#/definitions/")[2]
    if not definition.get("properties"):
        return {**definition, "$ref": f"{kubernetes['$id']}#/$defs/{place}"}
    text = json.dumps(kubernetes["$defs"][place]).replace('"#/$defs/', f'"{kubernetes["$id"]}#/$defs/')
    extended: Json = json.loads(text)
    extended["properties"] |= definition["properties"]
    return extended


def _definitions() -> Json:
    contents: Json = schema_contents(f"{STRICT}/_definitions.json", KUBERNETES_VERSION)
    return contents


def _sentences(errors: Iterable[ValidationError]) -> Iterator[str]:
    for error in errors:
        # "This or nothing" says what is wrong with this; of several alternatives no one knows which was meant.
        meant = [each for each in error.context or () if each.schema != {"type": "null"}]
        if meant and len({each.schema_path[0] for each in meant}) == 1:
            yield from _sentences(meant)
        elif error.validator == "additionalProperties" and error.validator_value is False:
            yield from _unknown_keys(error)
        else:
            yield f"{_place(error.absolute_path)}: {error.message}."


def _unknown_keys(error: ValidationError) -> Iterator[str]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance.keys() - set(known):
        near = difflib.get_close_matches(key, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "."
        yield f"{_place([*error.absolute_path, key])}: there is no such key{hint}"


def _place(path: Iterable[object]) -> str:
    return ".".join(map(str, path)) or "the whole"


def main(arguments: list[str]) -> int:
    """Say what is found; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kubernetes", "helm"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--schema", type=Path, help="of the chart: values.schema.json in its folder")
    given = parser.parse_args(arguments)
    if given.what == "helm":
        if given.schema is None:
            parser.error("helm wants --schema: values.schema.json, which lies in the chart's folder")
        schema = json.loads(given.schema.read_text())
        things, findings = 1, list(helm_findings(yaml.safe_load(given.path.read_text()), schema))
    else:
        things, findings = _kubernetes(given.path)
    for finding in findings:
        print(finding)
    print(f"{given.path}: {things} checked, {len(findings)} findings")
    return 1 if findings else 0


def _kubernetes(overlay: Path) -> tuple[int, list[str]]:
    findings: list[str] = []
    try:
        things = rendered(overlay)
    except ValueError as error:
        return 0, [str(error)]
    for thing in things:
        try:
            findings += kubernetes_findings(thing)
        except NotKubernetes as note:
            print(f"Left out: {note}.")
    return len(things), findings


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
