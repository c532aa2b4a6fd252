"""What changed between two exports of definitions, and for whom it matters."""
