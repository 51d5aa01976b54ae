"""What training reads: queries about pictures, data sets, and the Playground."""
