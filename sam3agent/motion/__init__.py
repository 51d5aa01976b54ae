"""What objects of a clip do over time, computed from their masklets."""
