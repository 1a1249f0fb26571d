"""Every value as text and as HTML: a module shows the values of one or several rooms of the package."""

from optinb.show.registry import html, text

__all__ = ["html", "text"]
