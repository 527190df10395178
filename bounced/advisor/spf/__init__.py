"""What the SPF of a domain says of our servers, and the record that lets them pass."""
