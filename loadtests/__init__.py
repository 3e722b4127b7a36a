"""Load tests (`load`) and benchmarks (`bench`); they measure the service from outside."""
