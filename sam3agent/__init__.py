"""Ask a picture a question in plain words and get masks back, with the evidence."""
