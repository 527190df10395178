"""The forms of servers that were run here, against a receiver that refused.

Run for this file: Sendmail 8.17, OpenSMTPD 6.8, Courier 1.0, chasquid 1.11, DragonFly Mail Agent
0.13, nullmailer 2.2. Postfix 3.7 and Exim 4.96 after the reports of the real ones in `tests/mta`.
qmail was not run: from general knowledge of its form.
"""

from __future__ import annotations

from tests.parser.compose import multipart, part
from tests.parser.forms.refusal import IP, RELAY, RETURNED, Refusal, fold, make_plain, make_report


def postfix(said: Refusal) -> bytes:
    joined = " ".join(said.sent)
    stage = {"DATA": "end of DATA", "CONNECT": ""}.get(said.command, said.command)
    remote = said.code is not None
    head = f"host {said.host}[{IP}]"
    if not remote:
        words, kind = joined, "X-Postfix"
    elif stage:
        words, kind = f"{head} said: {joined} (in reply to {stage} command)", "smtp"
    else:
        words, kind = f"{head} refused to talk to me: {joined}", "smtp"
    status = [
        f"Reporting-MTA: dns; {RELAY}\nX-Postfix-Queue-ID: 4F2Q\n",
        f"Final-Recipient: rfc822; {said.recipient}",
        f"Original-Recipient: rfc822;{said.recipient}",
        f"Action: failed\nStatus: {said.field}",
        *([f"Remote-MTA: dns; {said.host}"] if remote else []),
        f"Diagnostic-Code: {kind}; {fold(joined)}\n",
    ]
    text = (
        f"This is the mail system at host {RELAY}.\n\nI'm sorry to have to inform you that your "
        "message could not\nbe delivered to one or more recipients.\n\n"
        f"                   The mail system\n\n<{said.recipient}>: {fold(words)}\n"
    )
    return make_report(said, text, "\n".join(status), sender=f"MAILER-DAEMON@{RELAY}")


def exim(said: Refusal) -> bytes:
    words = "\n    ".join(said.sent)
    if said.code is not None:
        words = f"host {said.host} [{IP}]\n    SMTP error from remote mail server after {said.stage}:\n    {words}"
    status = [
        f"Reporting-MTA: dns; {RELAY}\n",
        f"Action: failed\nFinal-Recipient: rfc822;{said.recipient}\nStatus: 5.0.0",
    ]
    if said.code is not None:
        folded = "\n ".join(said.sent)
        status.append(f"Remote-MTA: dns; {said.host}\nDiagnostic-Code: smtp; {folded}")
    text = (
        "This message was created automatically by mail delivery software.\n\nA message that you "
        "sent could not be delivered to one or more of its\nrecipients. This is a permanent error. "
        f"The following address(es) failed:\n\n  {said.recipient}\n    {words}\n"
    )
    failed = f"X-Failed-Recipients: {said.recipient}"
    return make_report(said, text, "\n".join(status), failed, sender=f"Mailer-Daemon@{RELAY}")


def sendmail(said: Refusal) -> bytes:
    dialogue = "".join(f"<<< {line}\n" for line in said.sent)
    asked = "" if said.command == "CONNECT" else f">>> {said.stage}\n"
    if said.command == "DATA":
        asked = ">>> DATA\n"
    text = (
        f"The original message was received at Thu, 1 Oct 2026 10:00:00 +0200\nfrom {RELAY}\n\n"
        "   ----- The following addresses had permanent fatal errors -----\n"
        f"<{said.recipient}>\n    (reason: {said.sent[0]})\n\n"
        "   ----- Transcript of session follows -----\n"
        f"... while talking to {said.host}.:\n{asked}{dialogue}"
        + ("" if said.command == "RCPT TO" else "554 5.0.0 Service unavailable\n")
    )
    status = (
        f"Reporting-MTA: dns; {RELAY}\nReceived-From-MTA: DNS; app.sender.test\n\n"
        f"Final-Recipient: RFC822; {said.recipient}\nAction: failed\nStatus: {said.field}\n"
        f"Remote-MTA: DNS; {said.host}\nDiagnostic-Code: SMTP; {said.sent[0]}\n"
    )
    return make_report(said, text, status, sender=f"MAILER-DAEMON@{RELAY}")


def opensmtpd(said: Refusal) -> bytes:
    mark = "-" if len(said.sent) > 1 else " "
    glue = " " if said.status else ""
    status = f"{said.status} " if said.status else ""
    words = glue.join(said.lines)
    reply = words if said.code is None else f"{said.code}{mark}{status}{words}"
    text = (
        "    Hi!\n\n    This is the MAILER-DAEMON, please DO NOT REPLY to this email.\n\n"
        "    An error has occurred while attempting to deliver a message for\n"
        f"    the following list of recipients:\n\n{said.recipient}: {reply}\n\n"
        "    Below is a copy of the original message:\n"
    )
    fields = f"Final-Recipient: rfc822; {said.recipient}\nAction: failed\nStatus: 5.0.0\n"
    return multipart(
        part("text/plain; charset=us-ascii", text),
        part("message/delivery-status", f"Reporting-MTA: dns; {RELAY}\n\n{fields}"),
        part("text/rfc822-headers", RETURNED.format(said.recipient)),
        header=(
            f"From: Mailer Daemon <MAILER-DAEMON@{RELAY}>",
            "Subject: Delivery status notification: failed",
        ),
    )


def courier(said: Refusal) -> bytes:
    asked = {"CONNECT": "", "DATA": " >>> DATA\n"}.get(said.command, f" >>> {said.stage}\n")
    dialogue = "".join(f" <<< {line}\n" for line in said.sent)
    head, kind = f"     {said.host} [{IP}]:\n{asked}", "smtp"
    remote = f"Remote-MTA: dns; {said.host} [{IP}]\n"
    if said.code is None:
        head, kind, remote = "", "unknown", ""
    text = (
        f"\nThis is a delivery status notification from {RELAY},\nrunning the Courier mail server.\n\n"
        "                           UNDELIVERABLE MAIL\n\nYour message to the following recipients "
        f"cannot be delivered:\n\n<{said.recipient}>:\n{head}{dialogue}\n"
        "---------------------------------------------------------------------------\n\n"
        "If your message was also sent to additional recipients, their delivery\nstatus is not "
        "included in this report.\n"
    )
    folded = "\n        ".join(said.sent)
    status = (
        f"Reporting-MTA: dns; {RELAY}\n\nFinal-Recipient: rfc822; {said.recipient}\nAction: failed\n"
        f"Status: 5.0.0\n{remote}Diagnostic-Code: {kind}; {folded}\n"
    )
    return make_report(
        said,
        text,
        status,
        sender='"Courier mail server" <@>',
        subject="NOTICE: mail delivery status.",
    )


def chasquid(said: Refusal) -> bytes:
    stages = {"DATA": "DATA closing ", "RCPT TO": "MAIL+RCPT ", "MAIL FROM": "MAIL+RCPT "}
    status = f"{said.status} " if said.status else ""
    words = f"\n    {status}".join(said.lines)
    stage = "" if said.code is None else stages.get(said.command, "")
    reply = words if said.code is None else f"{stage}{said.code} {status}{words}"
    text = (
        "Delivery of your message to the following recipient(s) failed permanently:\n\n"
        f"  - {said.recipient}\n\n\nTechnical details:\n"
        f'- "{said.recipient}" (EMAIL) failed permanently with error:\n    {reply}\n\n'
    )
    fields = (
        f"Reporting-MTA: dns; {RELAY}\n\nOriginal-Recipient: utf-8; {said.recipient}\n"
        f"Final-Recipient: utf-8; {said.recipient}\nAction: failed\nStatus: 5.0.0\n"
        f"Diagnostic-Code: smtp; {reply}\n\n"
    )
    return make_report(
        said,
        text,
        fields,
        f"X-Failed-Recipients: {said.recipient}, ",
        sender=f"Mail Delivery System <postmaster-dsn@{RELAY}>",
        kind="message/global-delivery-status",
    )


def dma(said: Refusal) -> bytes:
    stages = {"CONNECT": "connect", "DATA": "final DATA"}
    words = "\n".join(said.sent)
    if said.code is not None:
        words = f"{said.host} [{IP}] did not like our {stages.get(said.command, said.command)}:\n{words}"
    body = (
        f"This is the DragonFly Mail Agent v0.13 at {RELAY}.\n\n"
        f"There was an error delivering your mail to <{said.recipient}>.\n\n{words}\n\n"
        f"Message headers follow.\n\n{RETURNED.format(said.recipient)}"
    )
    return make_plain(body, "MAILER-DAEMON <>", "Mail delivery failed")


def nullmailer(said: Refusal) -> bytes:
    text = (
        "This is the nullmailer delivery system.  The message attached below\ncould not be "
        f"delivered to one or more of the intended recipients:\n\n\t<{said.recipient}>\n"
    )
    lines = "\n".join(said.sent)
    status = (
        f"Reporting-MTA: x-local-hostname; {RELAY}\n\nFinal-Recipient: rfc822; {said.recipient}\n"
        f"Action: failed\nStatus: {said.field}\nRemote-MTA: dns; {said.host}\n"
        f"Diagnostic-Code: SMTP; {lines}\n"
    )
    return make_report(
        said, text, status, sender=f"Message Delivery Subsystem <MAILER-DAEMON@{RELAY}>"
    )


def qmail(said: Refusal) -> bytes:
    said_before = {
        "CONNECT": f"Connected to {IP} but greeting failed.",
        "EHLO": f"Connected to {IP} but my name was rejected.",
        "MAIL FROM": f"Connected to {IP} but sender was rejected.",
        "RCPT TO": f"{IP} does not like recipient.",
        "DATA": f"{IP} failed after I sent the message.",
    }
    words = "\n".join(said.sent)
    if said.code is not None:
        words = f"{said_before[said.command]}\nRemote host said: {words}\nGiving up on {IP}."
    body = (
        f"Hi. This is the qmail-send program at {RELAY}.\nI'm afraid I wasn't able to deliver your "
        "message to the following addresses.\nThis is a permanent error; I've given up. Sorry it "
        f"didn't work out.\n\n<{said.recipient}>:\n{words}\n\n"
        f"--- Below this line is a copy of the message.\n\nReturn-Path: <bounces@sender.test>\n"
        f"{RETURNED.format(said.recipient)}"
    )
    return make_plain(body, f"MAILER-DAEMON@{RELAY}", "failure notice")
