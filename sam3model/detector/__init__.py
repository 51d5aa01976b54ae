"""The image model and its parts: geometry, fusion, decoder, scoring, segmentation."""
