"""What Locust is given in the benchmarks."""
