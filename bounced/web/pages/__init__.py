"""The pages behind the links of notices: what an author says about an address with one click."""
