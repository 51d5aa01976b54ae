"""Training data: annotated images, Playground scenes, and the queries and batches made from them."""
