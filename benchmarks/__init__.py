"""What gradcheck claims, measured: ``python -m benchmarks`` from the repository root."""
