"""A simulated MLLM of known skill over noisy masks: measures a prompt or a policy of the agent without a GPU."""
