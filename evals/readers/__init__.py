"""Readers: one file a data set, from the official files to samples."""
