"""Who may do what: bearer tokens, and the roles that were applied (role-based access control)."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from madvision_assets_tests.cluster.objects import Kind, Object
from madvision_assets_tests.cluster.store import ApiError, Store

ADMIN = "system:admin"


@dataclass(frozen=True)
class Ask:
    """What a user wants to do.

    Attributes:
        user: their name, such as ``system:serviceaccount:madvision:madvision-run``.
        verb: such as ``create``.
        kind: of which objects.
        subresource: such as ``log``; empty for the object itself.
        namespace: where; empty for all.
        name: of one object; empty for a collection.
    """

    user: str
    verb: str
    kind: Kind
    subresource: str
    namespace: str
    name: str

    @property
    def resource(self) -> str:
        """As roles name it: ``pods/log``."""
        return f"{self.kind.plural}/{self.subresource}" if self.subresource else self.kind.plural

    def refusal(self) -> ApiError:
        """The error that refuses it."""
        qualified = f"{self.resource}.{self.kind.group}" if self.kind.group else self.resource
        where = f' in the namespace "{self.namespace}"' if self.namespace else " at the cluster scope"
        name = f'{qualified} "{self.name}"' if self.name else qualified
        message = (
            f'{name} is forbidden: User "{self.user}" cannot {self.verb} resource "{self.resource}" '
            f'in API group "{self.kind.group}"{where}'
        )
        return ApiError(HTTPStatus.FORBIDDEN, "Forbidden", message)


@dataclass
class Access:
    """Tokens of users, and whether roles are enforced.

    Attributes:
        store: holds the roles.
        rbac: False lets everybody do everything.
        refused: the message of every request that a role did not allow.
    """

    store: Store
    rbac: bool
    refused: list[str] = field(default_factory=list)
    _users: dict[str, str] = field(default_factory=dict)

    def write_kubeconfig(self, path: Path, server: str, user: str, namespace: str) -> None:
        """Write a kubeconfig with a new token of a user."""
        token = secrets.token_hex(16)
        self._users[token] = user
        context = {"cluster": "test", "user": user, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": context}],
        }
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")  # JSON is YAML

    def user(self, authorization: str) -> str:
        """Who sent a request.

        Raises:
            ApiError: nobody that is known, while roles are enforced.
        """
        user = self._users.get(authorization.removeprefix("Bearer "))
        if user is None and self.rbac:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")
        return user or ADMIN

    def check(self, ask: Ask) -> None:
        """Refuse what no role allows.

        Raises:
            ApiError: 403.
        """
        if not self.rbac or ask.user == ADMIN or any(_allows(rule, ask) for rule in self._rules(ask)):
            return
        refusal = ask.refusal()
        self.refused.append(str(refusal))
        raise refusal

    def _rules(self, ask: Ask) -> Iterable[Object]:
        """The rules of every role that is bound to a user, there."""
        bindings = self.store.select("ClusterRoleBinding")
        if ask.namespace:
            bindings += self.store.select("RoleBinding", ask.namespace)
        for binding in bindings:
            namespace = binding["metadata"].get("namespace", "")
            if ask.user in (_user(subject, namespace) for subject in binding.get("subjects", [])):
                ref = binding["roleRef"]
                role = self.store.find(ref["kind"], namespace if ref["kind"] == "Role" else "", ref["name"])
                yield from (role or {}).get("rules") or []


def account_user(namespace: str, account: str) -> str:
    """The user name of a service account."""
    return f"system:serviceaccount:{namespace}:{account}"


def _user(subject: Object, namespace: str) -> str:
    """The user that a binding means; groups are not known here."""
    if subject["kind"] == "ServiceAccount":
        return account_user(subject.get("namespace") or namespace, subject["name"])
    return str(subject["name"]) if subject["kind"] == "User" else ""


def _allows(rule: Object, ask: Ask) -> bool:
    wanted = (("apiGroups", ask.kind.group), ("resources", ask.resource), ("verbs", ask.verb))
    names = rule.get("resourceNames")
    return all({value, "*"} & set(rule.get(part) or []) for part, value in wanted) and (not names or ask.name in names)
