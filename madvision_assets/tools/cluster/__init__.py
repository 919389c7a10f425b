"""The cluster that our pods run on, as its API tells of it.

Here belongs what asks Kubernetes. What does not: manifests (``deployments/kubernetes``), and what a stage's pod is made
of (``defs/compute.py``).
"""

from madvision_assets.tools.cluster.findings import pod_findings

__all__ = ["pod_findings"]
