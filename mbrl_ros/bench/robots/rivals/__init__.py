"""Controllers to compare with, that track joint references with efforts and know the URDF's masses."""
