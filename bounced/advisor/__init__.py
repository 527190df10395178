"""What to do about a failure: which address may be meant, what a sender domain lacks."""
