"""The studio: a local web page to find, ask, watch, correct and export masks.

`page/` is served as it is: HTML, CSS and JavaScript modules without a build step.
"""
