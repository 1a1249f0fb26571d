"""What a night tells unprompted: what changed, and whom to look at."""
