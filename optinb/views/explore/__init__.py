"""Looking at customers and groups: beside each other, over time, by segment, and groups that are found."""
