"""The only state: reports, failures, strikes, cases and notices, in SQLite or PostgreSQL."""
