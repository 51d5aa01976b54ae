"""What fills in the decisions: a small Protocol and its backends (rules, openai, scripted, replay)."""
