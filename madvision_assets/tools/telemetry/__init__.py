"""A collector of OpenTelemetry's, over OTLP/HTTP.

Here belongs what knows OpenTelemetry. What does not: what a trace is made of (``domain.traces``), and when one is sent
(``work.tracing``). Nothing of it is imported before the first span is sent.
"""

from madvision_assets.tools.telemetry.collector import Collector, Refusal

__all__ = ["Collector", "Refusal"]
