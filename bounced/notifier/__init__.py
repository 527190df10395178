"""Tells the author: collects due entries into notices, composes the mail, delivers it."""
