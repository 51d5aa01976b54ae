"""The questions of `playground-phrasings`: forms with many wordings, a list written by hand, and facts that decide."""
