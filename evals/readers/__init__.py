"""Readers turn the official files of a data set into samples, one module per data set."""
