"""Malformed answers over all operations: only errors of the package may come out.

cd tests && python -m fuzz --answers 100000 --seed 1
"""
