"""System checks: what would go wrong later, said at the start, each with a hint."""
