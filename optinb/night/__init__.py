"""The nightly run: its steps, and what it does with each campaign."""

from optinb.night.steps import Blocked, Night, night_folder
from optinb.night.tonight import WAIT_S

__all__ = ["WAIT_S", "Blocked", "Night", "night_folder"]
