"""Groups that nobody thought of: rules whose customers differ in a target, found by search and confirmed."""

from optinb.segments.discovery.run import discover
from optinb.segments.discovery.values import Discovery, Finding

__all__ = ["Discovery", "Finding", "discover"]
