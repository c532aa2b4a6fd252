"""What the demo stands on: where it runs, its processes, its screen, and its verdict."""
