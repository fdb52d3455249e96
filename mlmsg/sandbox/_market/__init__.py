"""The parts of a market: threads, claims, sales, missed feeds."""
