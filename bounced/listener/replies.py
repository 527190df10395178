"""Every reply the listener gives: fixed text, never a word of the peer's or of an exception.

Basic codes by RFC 5321 §4.2, enhanced codes by RFC 3463. The texts are for the postmaster who
finds them in his log. Refusals of a recipient come with `origin.admission.Admission`.
"""

from __future__ import annotations

SERVICE = "bounced: takes delivery reports only"

OK = "250 2.0.0 OK"
SENDER_OK = "250 2.1.0 Sender OK"
RECIPIENT_OK = "250 2.1.5 Recipient OK"
STORED = "250 2.0.0 Stored safely"
VRFY = "252 2.5.0 Addresses are not verified here; RCPT TO tells whether mail is taken"
HELP = "214 2.0.0 This host takes delivery reports (bounces) for its own mail, nothing else"
BYE = "221 2.0.0 Goodbye"
START_TLS = "220 2.0.0 Start TLS now"
START_DATA = "354 Send the message, end it with a line of one dot"

TIMED_OUT = "421 4.4.2 Waited too long; goodbye"
SESSION_TOO_LONG = "421 4.4.2 This session has lasted too long; connect again"
SHUTTING_DOWN = "421 4.3.2 This host is shutting down; try again later"
BROKEN = "421 4.3.0 Something went wrong here; try again later"
NO_HTTP = "421 4.7.0 This is a mail server; goodbye"
MADE_ROOM = "421 4.3.2 Others need room while all connections are in use; connect again"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors in this session; goodbye"
TOO_MANY_COMMANDS = "421 4.7.0 Too many commands without a message; goodbye"
TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections; try again later"
TOO_MANY_FROM_CLIENT = "421 4.7.0 Too many connections from your address; try again later"
TRY_LATER = "451 4.3.0 Could not be stored just now; try again later"
NO_MEMORY = "452 4.3.1 Too many messages are coming in just now; try again later"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients; send the others in another transaction"

LINE_TOO_LONG = "500 5.5.2 Command line too long"
BARE_IN_COMMAND = "500 5.5.2 Bare CR or LF: end a command with CR LF (RFC 5321 section 2.3.8)"
BAD_SYNTAX = "500 5.5.2 Not a command"
UNKNOWN_COMMAND = "500 5.5.1 Command not known here"
NO_ARGUMENT = "501 5.5.4 This command takes no argument"
NEEDS_NAME = "501 5.5.4 Say which host you are"
MAIL_SYNTAX = "501 5.5.4 Write MAIL FROM:<address>"
RCPT_SYNTAX = "501 5.5.4 Write RCPT TO:<address>"
BAD_SENDER = "501 5.1.7 Malformed sender address"
BAD_RECIPIENT = "501 5.1.3 Malformed recipient address"
BAD_PARAMETER = "501 5.5.4 Malformed parameter"
NOT_OFFERED = "502 5.5.1 Not offered here"
GREET_FIRST = "503 5.5.1 Greet first"
MAIL_FIRST = "503 5.5.1 Send MAIL FROM first"
NO_NESTED_MAIL = "503 5.5.1 A transaction is open already; RSET ends it"
RCPT_FIRST = "503 5.5.1 No recipient has been accepted"
TLS_ALREADY = "503 5.5.1 TLS is active already"
TLS_FIRST = "530 5.7.0 Send STARTTLS first"
BARE_IN_MESSAGE = (
    "550 5.5.2 Bare CR or LF in the message: every line must end with CR LF "
    "(RFC 5321 section 2.3.8); correct the program that made it"
)
TOO_LARGE = "552 5.3.4 Message larger than this host takes"
UNKNOWN_PARAMETER = "555 5.5.4 Parameter not supported here"

_OF_LIBRARY = {"220 Ready to start TLS": START_TLS}


def reword(text: str) -> str:
    """Return our form of a reply that aiosmtpd gives; others unchanged; total."""
    return _OF_LIBRARY.get(text, text)
