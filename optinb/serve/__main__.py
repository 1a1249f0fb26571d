"""`python -m optinb.serve`, which `optinb serve` starts."""

from __future__ import annotations

from optinb.serve import headstart

if __name__ == "__main__":
    headstart.begin()  # before this process imports what it needs, so that both do at once
    from optinb.serve.app import Pages, configuration

    Pages.launch_instance(config=configuration())
