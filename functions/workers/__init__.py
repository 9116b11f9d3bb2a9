"""What works in the background: no request waits for it."""
