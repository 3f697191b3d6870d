"""Installing syncd: the image, the compose file, and upgrading what is there."""
