"""Servers over the agent and its tools."""
