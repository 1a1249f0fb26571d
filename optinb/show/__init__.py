"""Every value as text and as HTML, side by side: a module for each room of the package whose values it shows."""

from optinb.show.registry import html, text

__all__ = ["html", "text"]
