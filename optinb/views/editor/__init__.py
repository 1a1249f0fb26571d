"""The rule editor: a rule's JSON, with holes for what is still missing, and the widgets that show and change it."""
