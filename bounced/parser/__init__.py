"""Reads any received message into a report and says why each recipient failed."""
