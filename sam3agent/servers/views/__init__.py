"""Views: the page of the studio, in its small form, inside a host of the Model Context Protocol (MCP Apps)."""
