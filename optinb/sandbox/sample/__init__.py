"""Deliveries of a fictional shop, made by a seeded generator: for demos, rehearsals, tests and benchmarks."""

from __future__ import annotations

from optinb.sandbox.sample.write import SampleReport, write_sample

__all__ = ["SampleReport", "write_sample"]
