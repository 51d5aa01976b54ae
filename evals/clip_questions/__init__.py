"""Questions about Playground clips."""
