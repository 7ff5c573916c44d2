"""What is measured of the stack itself."""
