"""The tools of the agent and the MCP server. Each tool is one file, which defines it for every use."""
