"""A Kubernetes cluster for tests: a real API over HTTP, real scheduling, pods that are processes of this machine.

The official client and Dagster's launcher and executor use it as they use any cluster, and so does ``kubectl`` for
looking (it creates in a format that is not spoken here, and sends no token without TLS). One thread is the control
plane; it looks at everything whenever something changed. Each pod has a thread of its own. In the order of a request's
way::

    api        HTTP: addresses, verbs, watches        access     tokens and roles
    admission  what is refused, what is filled in     store      every object, and every change
    deletion   grace, propagation, garbage            events     what `kubectl describe` shows
    jobs, workloads   controllers; `pods` helps them  scheduler  which node
    kubelet    pods: `container`, `disk`, `environment`, `probes`
    objects    kinds, selectors, quantities, patches  cluster    all of it, for a test

Differences from a cluster that a test may meet: see ``kubelet``, ``disk`` and ``scheduler``. ResourceQuota, LimitRange,
StatefulSet, CronJob, HorizontalPodAutoscaler, PodDisruptionBudget and NetworkPolicy are kept, and not acted upon.
"""

from madvision_assets_tests.cluster.cluster import Cluster, PodRecord
from madvision_assets_tests.cluster.objects import Node, Object, Taint

__all__ = ["Cluster", "Node", "Object", "PodRecord", "Taint"]
