"""The benchmarks that have commands of their own."""
