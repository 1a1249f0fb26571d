"""The rule editor: a document of frozen values that may be incomplete, and the widgets that show and change it."""
