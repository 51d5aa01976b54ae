"""The image model: geometry encoder, fusion encoder, decoder, scoring and segmentation head."""
