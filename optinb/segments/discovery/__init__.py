"""Groups that nobody thought of: rules whose customers differ in a target, found by search, and looked at earlier."""

from optinb.segments.discovery.finding import Finding
from optinb.segments.discovery.run import Discovery, discover

__all__ = ["Discovery", "Finding", "discover"]
