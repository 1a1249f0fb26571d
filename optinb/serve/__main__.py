"""`python -m optinb.serve`, which `optinb serve` starts."""

from __future__ import annotations

from optinb.serve.app import Pages, configuration

if __name__ == "__main__":
    Pages.launch_instance(config=configuration())
