"""The tools: one definition each, from which the OpenAI schema, the MCP tool and the docs are made."""
