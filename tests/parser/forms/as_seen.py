"""The forms of servers that were not run here.

Haraka 3.1 and ZoneMTA 3.7 from their source code; James, maddy, Stalwart, Exchange, Gmail, Domino,
Amazon SES, PowerMTA and IONOS from general knowledge of their forms.
"""

from __future__ import annotations

from tests.parser.forms.refusal import IP, RELAY, RETURNED, Refusal, fold, make_plain, make_report


def haraka(said: Refusal) -> bytes:
    text = (
        f"Hi. This is the Haraka Mailer program at {RELAY}.\nI'm afraid I wasn't able to deliver your "
        'message\n    "Protokoll"\nto the following addresses.\nThis is a permanent error; I\'ve given '
        f"up. Sorry it didn't work out.\n\nIntended Recipients: <{said.recipient}>\n"
        f"Failure Reason: Some recipients failed: {said.recipient}\n\n<{said.recipient}>: {said.whole}\n"
    )
    status = (
        f"Reporting-MTA: dns;{RELAY}\n\nFinal-Recipient: rfc822;{said.recipient}\nAction: failed\n"
        f"Status: {said.field} ({said.code or 550} {' '.join(said.lines)})\nRemote-MTA: {said.host}\n"
        f"Diagnostic-Code: smtp;{said.whole} \n"
    )
    return make_report(
        said, text, status, sender=f"MAILER-DAEMON@{RELAY}", subject="failure notice"
    )


def zonemta(said: Refusal) -> bytes:
    text = (
        f"Delivery to the following recipient failed permanently:\n    {said.recipient}\n\n"
        f"Technical details of permanent failure:\n\n{said.whole}\n\n"
    )
    status = (
        f"Reporting-MTA: dns; {RELAY}\nX-ZoneMTA-Queue-ID: 15\n\nFinal-Recipient: rfc822; {said.recipient}\n"
        f"Action: failed\nStatus: 5.0.0\nRemote-MTA: dns; {said.host}\nDiagnostic-Code: smtp; {said.whole}\n"
    )
    failed = f"X-Failed-Recipients: {said.recipient}"
    return make_report(said, text, status, failed, sender=f"mailer-daemon@{RELAY}")


def james(said: Refusal) -> bytes:
    text = (
        f"Hi. This is the James mail server at {RELAY}.\nI'm afraid I wasn't able to deliver your "
        "message to the following addresses.\nThis is a permanent error; I've given up. Sorry it "
        f"didn't work out.\n\nFailed recipient(s):\n{said.recipient}\n\nError message:\n{said.whole}\n\n"
    )
    status = (
        f"Reporting-MTA: dns; {RELAY}\nReceived-From-MTA: dns; {IP}\n\n"
        f"Final-Recipient: rfc822; {said.recipient}\nAction: failed\nStatus: {said.field}\n"
        f"Diagnostic-Code: X-James; {said.whole}\n"
    )
    return make_report(said, text, status, sender=f"postmaster@{RELAY}")


def maddy(said: Refusal) -> bytes:
    text = (
        f"This is the mail delivery system at {RELAY}.\n\nUnfortunately, your message could not be "
        "delivered to one or more\nrecipients.\n\nContact the postmaster for further assistance, "
        f"provide the Message ID (below):\n\nMessage ID: 15\n\n\nDelivery to {said.recipient} failed "
        f"with error: {said.whole}\n"
    )
    status = (
        f"Reporting-MTA: dns; {RELAY}\n\nFinal-Recipient: rfc822; {said.recipient}\nAction: failed\n"
        f"Status: {said.field}\nDiagnostic-Code: smtp; {said.whole}\nRemote-MTA: dns; {said.host}\n"
    )
    return make_report(said, text, status, sender=f"Mail Delivery System <MAILER-DAEMON@{RELAY}>")


def stalwart(said: Refusal) -> bytes:
    text = (
        "Your message could not be delivered to the following recipients:\n\n"
        f"<{said.recipient}> (host '{said.host}' rejected command '{said.stage}' with code "
        f"{said.code or 550} ({said.field}) '{' '.join(said.lines)}')\n\n"
    )
    status = (
        f"Reporting-MTA: dns;{RELAY}\n\nFinal-Recipient: rfc822;{said.recipient}\nAction: failed\n"
        f"Status: {said.field}\nDiagnostic-Code: smtp;{said.whole}\nRemote-MTA: dns;{said.host}\n"
    )
    return make_report(
        said, text, status, sender=f"Mail Delivery Subsystem <MAILER-DAEMON@{RELAY}>"
    )


def exchange(said: Refusal) -> bytes:
    text = (
        f"Delivery has failed to these recipients or groups:\n\n{said.recipient}<mailto:{said.recipient}>\n"
        "Your message wasn't delivered. Contact the recipient by some other means.\n\n"
        f"Diagnostic information for administrators:\n\nGenerating server: {RELAY}\n\n"
        f"{said.recipient}\n{said.host}\nRemote Server returned '{said.whole}'\n\n"
        f"Original message headers:\n\n{RETURNED.format(said.recipient)}"
    )
    status = (
        f"Reporting-MTA: dns;{RELAY}\nReceived-From-MTA: dns;app.sender.test\n\n"
        f"Final-Recipient: rfc822;{said.recipient}\nAction: failed\nStatus: {said.field}\n"
        f"Diagnostic-Code: smtp;{said.whole}\nRemote-MTA: dns;{said.host}\nX-Display-Name: Max\n"
    )
    return make_report(
        said, text, status, sender="postmaster@sender.test", subject="Undeliverable: Protokoll"
    )


def gmail(said: Refusal) -> bytes:
    text = (
        "\n** Message not delivered **\n\nThere was a problem delivering your message to "
        f"{said.recipient}. See the technical details below.\n\n\nThe response from the remote server "
        f"was:\n\n{said.whole}\n"
    )
    status = (
        "Reporting-MTA: dns; googlemail.com\nX-Original-Message-ID: <1@sender.test>\n\n"
        f"Final-Recipient: rfc822; {said.recipient}\nAction: failed\nStatus: {said.field}\n"
        f"Remote-MTA: dns; {said.host}. ({IP}, the server for the domain receiver.test.)\n"
        f"Diagnostic-Code: smtp; {fold(said.whole)}\nLast-Attempt-Date: Thu, 1 Oct 2026 10:00:00 -0700\n"
    )
    failed = f"X-Failed-Recipients: {said.recipient}"
    sender = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
    return make_report(said, text, status, failed, sender=sender)


def domino(said: Refusal) -> bytes:
    fate = "Temporary" if said.temporary else "Permanent"
    words = said.whole
    if said.code is not None:
        words = f"Error transferring to {said.host}; SMTP Protocol Returned a {fate} Error {words}"
    text = (
        f"Your message\n\n  Subject: Protokoll\n\nwas not delivered to:\n\n  {said.recipient}\n\n"
        f"because:\n\n  {words}\n\n"
    )
    status = (
        f"Reporting-MTA: dns;{RELAY}\n\nFinal-Recipient: rfc822;{said.recipient}\nAction: failed\n"
        f"Status: 5.0.0\nDiagnostic-Code: X-Notes; {words}\n"
    )
    return make_report(
        said, text, status, sender=f"Postmaster@{RELAY}", subject="DELIVERY FAILURE: Protokoll"
    )


def ses(said: Refusal) -> bytes:
    text = f"An error occurred while trying to deliver the mail to the following recipients:\n{said.recipient}\n"
    status = (
        "Reporting-MTA: dns; a8-31.smtp-out.amazonses.com\n\nAction: failed\n"
        f"Final-Recipient: rfc822; {said.recipient}\nDiagnostic-Code: smtp; {said.whole}\n"
        f"Status: {said.field}\n\n"
    )
    return make_report(said, text, status, sender="MAILER-DAEMON@amazonses.com")


def powermta(said: Refusal) -> bytes:
    text = (
        f"Hello, this is the mail server on {RELAY}.\n\nI am sending you this message to inform you on "
        "the delivery status of a\nmessage you previously sent.\n\n"
        f"  <{said.recipient}>  delivery failed; will not continue trying\n"
    )
    status = (
        f"Reporting-MTA: dns;{RELAY}\nX-PowerMTA-VirtualMTA: one\n\nFinal-Recipient: rfc822;{said.recipient}\n"
        f"Action: failed\nStatus: {said.field} (as told)\nRemote-MTA: dns;{said.host} ({IP})\n"
        f"Diagnostic-Code: smtp;{said.whole}\nX-PowerMTA-BounceCategory: other\n"
    )
    return make_report(
        said, text, status, sender=f"mailer-daemon@{RELAY}", subject="Delivery report"
    )


def ionos(said: Refusal) -> bytes:
    command = {"DATA": "TEXT", "CONNECT": "INITIAL"}.get(said.command, said.command)
    words = said.whole
    if said.code is not None:
        words = f"SMTP error from remote server for {command} command, host: {said.host} ({IP}) reason: {words}"
    body = (
        "This message was created automatically by mail delivery software.\n\nA message that you sent "
        "could not be delivered to\none or more of its recipients. This is a permanent error.\n\n"
        f"The following address failed:\n\n{said.recipient}:\n{words}\n\n\n"
        f"--- The header of the original message is following. ---\n\n{RETURNED.format(said.recipient)}"
    )
    sender = "Mail Delivery System <mailer-daemon@kundenserver.de>"
    return make_plain(body, sender, "Mail delivery failed: returning message to sender")
