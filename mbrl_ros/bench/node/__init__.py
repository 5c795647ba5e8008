"""Benchmarks of mpc_node as a process: latency, missed ticks, faults."""
