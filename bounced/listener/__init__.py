"""Where bounces come in: SMTP and LMTP sessions, and files for the command line."""
