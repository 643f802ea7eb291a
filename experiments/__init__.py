"""The virtual potline, the experiments, the report and the command line."""
