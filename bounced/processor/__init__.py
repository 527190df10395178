"""Between the stored report and the ledger: parser processes, origin, counting, the log."""
