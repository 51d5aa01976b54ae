"""How well a real MLLM sees: its verdicts at a glance and at a close look, on masks whose truth is known."""
