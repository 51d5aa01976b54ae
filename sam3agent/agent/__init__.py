"""The state machine: states, decisions, pure transitions, and the loop that drives them."""
