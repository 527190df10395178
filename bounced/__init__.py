"""bounced: takes bounces in, sorts them, counts them, and tells the author three times at most."""

__version__ = "0.1.0"
