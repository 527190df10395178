"""HTTP: the API of the sending application, health, metrics."""
