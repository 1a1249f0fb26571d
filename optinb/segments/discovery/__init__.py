"""Groups that nobody thought of: rules whose customers differ in a target, found by search and confirmed."""

from optinb.segments.discovery.run import Discovery, Finding, discover

__all__ = ["Discovery", "Finding", "discover"]
