"""What is looked after while the daemon runs: certificates, quarantine, disk space."""
