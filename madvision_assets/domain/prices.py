"""What the cloud charges. List prices, to be checked against your own bill before anything is decided by them.

``madvision cost estimate --prices FILE`` puts other ones in place.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

CURRENCY = "USD"
REGION = "us-east-1"
AS_OF = "2025-06"

SPOT = ".spot"
GPUS = ("g4dn.xlarge", "g5.xlarge", "g6.xlarge")  # a T4, an A10G, an L4; those with more than one GPU pay off later


@dataclass(frozen=True)
class Price:
    """What one unit costs.

    Attributes:
        usd: US dollars.
        unit: of what.
        source: where the figure comes from.
    """

    usd: float
    unit: str
    source: str


_EC2, _S3, _RDS = "AWS, Amazon EC2 on-demand pricing", "AWS, Amazon S3 pricing", "AWS, Amazon RDS pricing"
_SPOT = "assumed: 40 % of on demand; changes by the hour and the zone"

PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "g4dn.xlarge": Price(0.526, "hour", _EC2),
        "g4dn.xlarge.spot": Price(0.21, "hour", _SPOT),
        "g5.xlarge": Price(1.006, "hour", _EC2),
        "g5.xlarge.spot": Price(0.40, "hour", _SPOT),
        "g6.xlarge": Price(0.8048, "hour", _EC2),
        "g6.xlarge.spot": Price(0.32, "hour", _SPOT),
        "cpu": Price(0.048, "vCPU hour", f"{_EC2}: a quarter of an m6i.xlarge"),
        "eks": Price(0.10, "hour", "AWS, Amazon EKS pricing: a cluster in standard support"),
        "load_balancer": Price(0.0225, "hour", "AWS, Elastic Load Balancing pricing: its hours alone"),
        "nat.hour": Price(0.045, "hour", "AWS, Amazon VPC pricing: a NAT gateway"),
        "nat.traffic": Price(0.045, "GB", "AWS, Amazon VPC pricing: what a NAT gateway passes on"),
        "endpoint.hour": Price(0.01, "hour", "AWS, PrivateLink pricing: an interface endpoint in one zone"),
        "endpoint.traffic": Price(0.01, "GB", "AWS, PrivateLink pricing: what an endpoint passes on, the first PB"),
        "postgresql.hour": Price(0.065, "hour", f"{_RDS}: db.t4g.medium, one zone"),
        "postgresql.storage": Price(0.115, "GB month", f"{_RDS}: gp3"),
        "s3.storage": Price(0.023, "GB month", f"{_S3}: Standard, the first 50 TB"),
        "s3.put": Price(0.005, "1000 requests", f"{_S3}: PUT and LIST"),
        "s3.get": Price(0.0004, "1000 requests", f"{_S3}: GET"),
        "egress": Price(0.09, "GB", f"{_EC2}: data out, the first 10 TB; the free 100 GB a month are not taken off"),
    }
)


def with_other_prices(prices: Mapping[str, Price], others: Mapping[str, object], source: str) -> dict[str, Price]:
    """The prices with some replaced.

    Args:
        prices: by name.
        others: US dollars by name; a name with dots may be nested tables.
        source: told with each of them.

    Raises:
        ValueError: a name is unknown (the nearest one is told), or what it has is no price.
    """
    changed = dict(prices)
    for name, usd in _flattened(others):
        if name not in prices:
            near = get_close_matches(name, prices, n=1, cutoff=0.0)
            raise ValueError(f"{source}: there is no price called {name!r}. Did you mean {near[0]!r}?")
        if isinstance(usd, bool) or not isinstance(usd, int | float) or not 0 <= usd < math.inf:
            raise ValueError(f"{source}: {name} is {usd!r}, and a price is a number of US dollars, 0 or more.")
        changed[name] = replace(prices[name], usd=float(usd), source=source)
    return changed


def _flattened(table: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        found += _flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(prefix + key, value)]
    return found
