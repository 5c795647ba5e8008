"""CasADi functions and C++ to compiled code, cached."""
