"""Following objects through clips: prompts, the run with its journal, and the files that come out of it."""
