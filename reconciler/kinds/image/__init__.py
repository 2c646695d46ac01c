"""Image: an image that is kept on the host."""
