"""The campaign board: what a marketer plans, as values, controls and a draft that is kept."""
