"""Tools of every measurement: processes, the machine, arithmetic, tables."""
