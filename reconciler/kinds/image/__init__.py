"""Image: an image to keep on this host."""
