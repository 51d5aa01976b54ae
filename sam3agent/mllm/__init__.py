"""The protocol of decision backends, and two backends that use an MLLM: `openai` and `vllm`."""
