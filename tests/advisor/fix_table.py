"""Which fix every situation has, as the standards have it; written down before the code.

Columns: what the mail was refused for (`nothing`: somebody asks), whose domain stands in From,
the SPF of the domain that SPF is checked on, the DKIM signatures, the DMARC policy of the From domain, the
fix, and the standard that says so. A list in a cell stands for each of its values, `any` for all.
"""

from __future__ import annotations

FIXES = """
| refused for | From | SPF checked on | DKIM | DMARC | fix | because |
|---|---|---|---|---|---|---|
| any | freemail | any | any | any | use-our-address | RFC 6376 §3.6.2.1, RFC 7208 §3.1: only the provider publishes records for his domain |
| any | ours | any | any | any | ours | RFC 7208 §3.1, RFC 6376 §3.6.2.1: the records are ours to publish |
| spf | author | ours-failing | any | any | ours | RFC 7208 §2.4: MAIL FROM is checked, and its domain is ours |
| spf | author | his-missing | any | any | publish-spf | RFC 7208 §3.1: his domain says nothing |
| spf | author | his-failing | any | any | merge-spf | RFC 7208 §3.2, §4.5: one record only, and it does not name us |
| spf | author | his-passing | any | any | ask-receiver | RFC 7208 §8.3, App. D: DNS permits us, so a mediator or the receiver's rule stands between |
| spf | author | ours-passing | none, ours, ours-broken, broken | any | publish-dkim | RFC 7208 §2.4, App. D: nothing in his SPF is looked at; a signature survives what SPF does not |
| spf | author | ours-passing | ready | any | ours | RFC 6376 §5.1: the key stands in his zone, and the signer is ours |
| spf | author | ours-passing | good | any | ask-receiver | RFC 7208 §8.3, App. D; RFC 6376 §6.3: signed by his domain and refused nevertheless |
| dkim | author | any | none, broken | any | publish-dkim | RFC 6376 §3.6.2, §6.1.2: no key where the verifier looks for one |
| dkim | author | any | ours-broken, ready | any | ours | RFC 6376 §5.1, §6.1.2: the signer, or the key of the signature, is ours |
| dkim | author | any | ours, good | any | ask-receiver | RFC 6376 §6.1.3: the key is right, so the mail was changed on its way |
| dmarc | author | his-missing | none, ours, ours-broken | any | publish-spf | RFC 9989 §4.4.2: an aligned SPF pass is enough |
| dmarc | author | his-failing | none, ours, ours-broken | any | merge-spf | RFC 9989 §4.4.2: an aligned SPF pass is enough |
| dmarc | author | ours-passing, ours-failing | none, ours, ours-broken, broken | any | publish-dkim | RFC 9989 §4.4.1: SPF of our domain cannot align with his |
| dmarc | author | his-missing, his-failing | broken | any | publish-dkim | RFC 9989 §4.4.1: he signs already, only the key is wrong |
| dmarc | author | ours-passing, ours-failing, his-missing, his-failing | ready | any | ours | RFC 6376 §5.1: the key stands in his zone, and the signer is ours |
| dmarc | author | his-passing | none, ours, ours-broken, broken | none, enforced | publish-dkim | RFC 7960 §2.2, RFC 9989 §4.4.1: SPF aligned here breaks behind a forwarder, a signature does not |
| dmarc | author | his-passing | ready | none, enforced | ours | RFC 6376 §5.1: the key stands in his zone, and the signer is ours |
| dmarc | author | his-passing | none, ours, ours-broken, ready, broken | absent | publish-dmarc | RFC 9989 §4.7: the receiver asks for a policy that is not there |
| dmarc | author | any | good | absent | publish-dmarc | RFC 9989 §4.7: the receiver asks for a policy that is not there |
| dmarc | author | any | good | none, enforced | ask-receiver | RFC 6376 §6.1.3, RFC 7960 §2: signed and aligned, so the mail was changed on its way |
| unauthenticated | author | ours-failing | none, ours-broken | any | ours | RFC 7208 §2.4, RFC 6376 §6.1.2: nothing of ours passes |
| unauthenticated | author | ours-failing | ours, broken | any | publish-dkim | RFC 9989 §4.4.1: what passes is not his |
| unauthenticated | author | ours-passing | none, ours, ours-broken, broken | any | publish-dkim | RFC 9989 §4.4.1: what passes is not his |
| unauthenticated | author | his-missing | none, ours, ours-broken | any | publish-spf | RFC 7208 §3.1: his domain says nothing |
| unauthenticated | author | his-failing | none, ours, ours-broken | any | merge-spf | RFC 7208 §3.2, §4.5: one record only, and it does not name us |
| unauthenticated | author | his-missing, his-failing | broken | any | publish-dkim | RFC 6376 §6.1.2: he signs already, only the key is wrong |
| unauthenticated | author | his-passing | none, ours, ours-broken, broken | any | publish-dkim | RFC 6376 §3.6.2: SPF passes, so a signature is what they miss |
| unauthenticated | author | any | ready | any | ours | RFC 6376 §5.1: the key stands in his zone, and the signer is ours |
| unauthenticated | author | any | good | absent | publish-dmarc | RFC 9989 §4.7: signed and aligned, so a policy is what they miss |
| unauthenticated | author | any | good | none, enforced | ask-receiver | RFC 6376 §6.1.3, RFC 9989 §4.4: everything is there |
| nothing | author | ours-failing | any | any | ours | RFC 7208 §2.4: MAIL FROM is checked, and its domain is ours |
| nothing | author | his-missing | any | any | publish-spf | RFC 7208 §3.1: his domain says nothing |
| nothing | author | his-failing | any | any | merge-spf | RFC 7208 §3.2, §4.5: one record only, and it does not name us |
| nothing | author | ours-passing | none, ours, ours-broken, broken | any | publish-dkim | RFC 9989 §4.4.1: what passes is not his |
| nothing | author | his-passing | broken | any | publish-dkim | RFC 6376 §6.1.2: the key is wrong |
| nothing | author | his-passing | none, ours, ours-broken | absent | publish-dmarc | RFC 9989 §4.7 |
| nothing | author | his-passing | none, ours, ours-broken | none, enforced | none | RFC 9989 §4.4.2: an aligned SPF pass is enough |
| nothing | author | ours-passing, his-passing | ready, good | absent | publish-dmarc | RFC 9989 §4.7 |
| nothing | author | ours-passing, his-passing | ready, good | none, enforced | none | RFC 9989 §4.4: everything is there |
"""

WAYS = """
| wanted | our include | our CNAMEs | return path | refused for | aspf | fix | because |
|---|---|---|---|---|---|---|---|
| publish-spf | yes | any | any | any | any | publish-spf | RFC 7208 §5.2 |
| merge-spf | yes | any | any | any | any | merge-spf | RFC 7208 §5.2 |
| publish-dkim | any | yes | any | any | any | publish-dkim | RFC 6376 §3.6.2 |
| publish-spf, merge-spf | no | yes | any | any | any | publish-dkim | RFC 9989 §4.4.1: we have no record to offer, a signature does as well |
| publish-dkim | any | no | offered | spf, dmarc, unauthenticated, nothing | relaxed | return-path-cname | RFC 9989 §4.4.2: a return path below his domain aligns |
| publish-spf, merge-spf | no | no | offered | spf, dmarc, unauthenticated, nothing | relaxed | return-path-cname | RFC 9989 §4.4.2: a return path below his domain aligns |
| publish-dkim | any | no | published | spf, dmarc, unauthenticated, nothing | relaxed | ours | RFC 5321 §3.3: the CNAME stands, and MAIL FROM is ours to set |
| publish-spf, merge-spf | no | no | published | spf, dmarc, unauthenticated, nothing | relaxed | ours | RFC 5321 §3.3: the CNAME stands, and MAIL FROM is ours to set |
| publish-dkim | any | no | none | any | any | use-our-address | RFC 5322 §3.6.2: From ours, Reply-To his |
| publish-spf, merge-spf | no | no | none | any | any | use-our-address | RFC 5322 §3.6.2: From ours, Reply-To his |
| publish-dkim | any | no | offered, published | dkim | any | use-our-address | RFC 6376 §3.6.2: a return path is no signature |
| publish-spf, merge-spf | no | no | offered, published | dkim | any | use-our-address | RFC 6376 §3.6.2: a return path is no signature |
| publish-dkim | any | no | offered, published | spf, dmarc, unauthenticated, nothing | strict | use-our-address | RFC 9989 §4.4.2: below his domain is not aligned where he is strict |
| publish-spf, merge-spf | no | no | offered, published | spf, dmarc, unauthenticated, nothing | strict | use-our-address | RFC 9989 §4.4.2: below his domain is not aligned where he is strict |
"""
"""What becomes of a fix where we lack the means that it takes (`[advice]`)."""
