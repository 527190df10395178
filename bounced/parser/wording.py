"""Knows the words by which mail systems say that a mail failed or waits, in many languages.

Facts observed in the reports of many systems; no RFC rules them.
"""

import re

_FAILED = (
    # English
    r"(?:could|can) ?not (?:be )?(?:deliver|sen[dt]|reach|process|accept|forward)\w*",
    r"(?:can't|couldn't|was(?:n't| not) able to|unable to) (?:deliver|reach|send|relay)\w*",
    r"(?:un|non-?)deliver(?:able|ed)\b|undeliverable to|no longer deliverable",
    r"not (?:been |be )?(?:delivered|deliverable|reached|received|collected)\b",
    r"(?:did|have|has) not (?:receive|reach)\w*",
    r"del[ie]very (?:\w+ ){0,3}(?:fail|abort|unsuccessful|problem|error|was aborted)\w*",
    r"delivery (?:to the following|(?:status )?(?:notification|failure|report))",
    (
        r"(?:fail(?:ed|ure|ing)?|error\w*|problem\w*|trouble) (?:\w+ ){0,3}"
        r"(?:recipient|address|deliver|mailbox)\w*"
    ),
    r"(?:permanent|fatal|delivery|session) (?:\w+ ){0,2}errors?",
    r"following (?:address(?:es|\(es\))?|recipients?) (?:had|failed|did not)",
    (
        r"(?:mail|message)[^.\n]{0,40} (?:was|is|has been|been|being) "
        r"(?:rejected|returned|refused|bounced|blocked|undeliver\w*)"
    ),
    (
        r"(?:recipient|user|mailbox|address|addressee|account|userid)[^\n]{0,60}"
        r"(?:not (?:found|known|exist\w*|recogni[sz]ed|listed|available|valid)|unknown|invalid"
        r"|is full|over ?quota|quota exceeded|disabled|rejected|unavailable"
        r"|does ?n[o']t (?:exist|have))"
    ),
    (
        r"(?:unknown|invalid|no such|no valid|bad|malformed|incorrectly constructed|rejected)"
        r"[^\n]{0,40}(?:user|recipient|mailbox|address|userid|account|domain|host)"
    ),
    r"quota (?:violation|exceeded)|over ?quota|mailbox (?:is )?full|box space not enough",
    r"exceed\w* (?:\w+ ){0,3}(?:quota|size|limit)",
    r"encountered (?:delivery )?(?:problems|errors)|failed (?:recipient|address)",
    r"gave up|giving up|return(?:ed|ing) (?:message )?to (?:the )?sender",
    # German
    r"(?:nicht |un)(?:zugestellt|zustellbar|ausgeliefert|übermittelt|zustellen)\w*",
    (
        r"(?:konnten?|kann|könnte)[^.\n]{0,80}nicht[^.\n]{0,40}"
        r"(?:zugestellt|zustellen|ausgeliefert|gesendet|erreicht|übermittelt|weitergeleitet)"
    ),
    r"zustell(?:ung|fehler|versuch)\w*[^.\n]{0,60}(?:fehl|nicht|abgebrochen|gescheitert)\w*",
    r"fehler bei der zustellung|empfänger[^.\n]{0,40}(?:unbekannt|nicht (?:gefunden|bekannt))",
    # French
    r"n'a(?: pas)? pu être|échec de (?:la )?(?:remise|livraison|distribution)|non remis",
    r"impossible de (?:remettre|livrer|délivrer)",
    # Spanish
    r"no (?:se )?(?:ha )?(?:pudo|podido|puede) (?:ser )?entreg\w*|error (?:de|en la) entrega",
    # Italian
    r"non è stat[oa] (?:possibile )?(?:consegn|recapit|invi)\w*",
    r"(?:mancata|impossibile)(?: la)? (?:consegn|recapit)\w*",
    # Dutch
    r"(?:kon|kan|kunnen)[^.\n]{0,60}niet[^.\n]{0,40}(?:bezorgd|afgeleverd|verzonden)",
    r"niet (?:bezorgd|afgeleverd)|onbestelbaar",
    # Portuguese
    r"n[ãa]o (?:p[ôo]de|foi poss[íi]vel|pode) (?:ser )?(?:entreg|envia)\w*|falha na entrega",
    # Polish
    r"nie (?:można|mogła|mógł|został|została|udało się)[^.\n]{0,40}(?:dostarcz|doręcz)\w*",
    # Russian
    r"не (?:может|могло|было|удалось|смогло)[^.\n]{0,40}доставл?\w*|не доставлено",
    r"невозможно доставить",
    # Japanese
    r"(?:送信|配信|配達|送付|配送)(?:に失敗|できません|できず|不能|エラー|されません)",
    r"送達できません|リストにありません",
    # Chinese
    r"无法(?:投递|送达|发送|传递)|投递失败|退信|發送失敗|無法(?:投遞|傳送|送達)",
)
FAILED = re.compile("|".join(_FAILED), re.IGNORECASE)
"""Says that a mail was not delivered; found in ordinary mail, too, so never enough alone."""

_DELAYED = (
    r"is (?:just )?a warning(?: message)?(?: only)?",
    r"warning[\s:-]{1,3}(?:message|could not|e?mail)",
    r"(?:has|have) (?:been delayed|not yet been delivered)|not yet (?:been )?delivered",
    r"still being retried|will be retried|will (?:keep|continue) (?:trying|to (?:attempt|try))",
    r"delivery attempts will continue|you do not need to resend",
    r"delivery (?:is |has been |was )?(?:temporarily )?(?:delayed|deferred|suspended)",
    r"(?:mail|message|delivery)[^.\n]{0,40} (?:delayed|deferred)\b",
    r"notification \(delay\)|delayed (?:mail|delivery)",
    r"verzögert\w*|verzögerung|noch nicht (?:zugestellt|ausgeliefert)|weitere zustellversuche",
    r"(?:remise|livraison) (?:différée|retardée)|entrega (?:retrasada|demorada|atrasada)",
    r"consegna (?:ritardata|in ritardo)|bezorging (?:vertraagd|uitgesteld)",
    r"задержк\w*|отложен\w*|配信(?:が)?遅延|遅延しています|延迟",
)
DELAYED = re.compile("|".join(_DELAYED), re.IGNORECASE)
"""Says that a mail waits and will be tried again."""

_FINAL = (
    r"permanent(?:ly)?\b|fatal errors?|giv(?:e|en|ing) up|not going to try again|queue too long",
    r"has failed|no further attempts|dauerhaft|endgültig|keine weiteren (?:zustell)?versuche",
    r"définitive?ment|permanente?\b|definitiv[oa]",
)
FINAL = re.compile("|".join(_FINAL), re.IGNORECASE)
"""Says that nothing will be tried again."""

_FAILED_SUBJECT = (
    r"undeliver|fail(?:ure|ed)|return(?:ed|ing)|not delivered|\berror\b|bounce|rejected",
    r"delivery (?:status|problem|error|report)|unzustellbar|nicht zugestellt|zustell|unbestellbar",
    r"non remis|non distribu|échec|no (?:se )?(?:ha )?entrega|no entregado|mancata consegna",
    r"non recapitat|onbestelbaar|não entregue|недоставл|не доставлен|配信不能|エラー|退信",
)
FAILED_SUBJECT = re.compile("|".join(_FAILED_SUBJECT), re.IGNORECASE)
"""Titles of failure reports; ordinary mail has such subjects, too."""

_DAEMON = (
    r"mail(?:er)?-?daemon|post-?_?master|mdaemon|mail[ ._-]?deliver[yr]?[ ._-]?(?:sub)?system",
    r"(?:mail )?system ?administrator|mail administrator|delivery[ ._-](?:sub)?system",
    r"mail system|jetmail|smtp_mail_service|antivirus[\w_]*gateway|sysadmin|microsoft outlook",
    r"mail server",
)
DAEMON = re.compile("|".join(_DAEMON), re.IGNORECASE)
"""Who reports: mail systems under their usual names."""

_AUTO_SUBJECT = (
    r"(?:this is an )?auto(?:mati[cs]|mated)? ?-?(?:e-?mail )?(?:reply|respon[sd]er?|response)",
    r"auto-?(?:respond|respons|antwort)\b|out of (?:the )?office|ooo\b|vacation(?: \w+|:)",
    r"away from (?:my|the) (?:office|desk|mail|e-?mail)|(?:i am |i'm )?on (?:vacation|leave)",
    r"automatische (?:\w+ ?){0,2}(?:antwort|\w*bestatigung|nachricht)|abwesend|abwesenheit",
    r"(?:ich bin )?(?:nicht im (?:buro|hause)|im urlaub|ausser haus)|urlaubsbenachrichtigung",
    r"reponse automatique|absen(?:ce|t) du bureau|absent\(?e?\)?\b|message d'absence|en conges",
    r"respuesta automatica|fuera de (?:la )?oficina|ausente|autorespuesta",
    r"risposta automatica|fuori (?:sede|ufficio)|assente|assenza",
    r"automatisch(?:e)? (?:antwoord|reactie)|niet aanwezig|afwezig",
    r"automatyczna odpowiedz|odpowiedz automatyczna|autoodpowiedz|poza biurem|nieobecnosc",
    r"resposta automatica|ausencia|fora do escritorio",
    r"自動(?:応答|返信|回复|回覆|答复)|自动(?:回复|答复|应答)|不在(?:通知|のお知らせ|です)|外出(?:中|通知)|休假",
    r"автоматическии ответ|автоответ|вне офиса|нет на месте|я в отпуске",
)
AUTO_SUBJECT = re.compile("|".join(_AUTO_SUBJECT))
"""Begins the title of an automatic reply; lower case, without the marks of letters."""

_QUOTE = (
    (
        r"(?:original|returned|unsent|source|forwarded|undelivered|rejected) (?:e-?mail|message)"
        r"(?: headers?| info)?(?: headers?)?(?: follows?| below| is following| attached)?"
        r"(?: below this line)?[\W_]*$"
    ),
    r"(?:original|returned|source|forwarded) mail(?: info| attached| follows)?[\W_]*$",
    (
        r"copy of (?:the|your|this) (?:first part of the |original |undelivered )*"
        r"(?:e-?mail|mail|message)"
    ),
    r"(?:message|mail) (?:headers?|text|body) (?:follows?|suppressed|is following)",
    r"(?:top|first) \d+ lines of (?:the|your) message follow|your message reads \(in part\)",
    r"kopie (?:der|ihrer) (?:original)?nachricht",
    r"(?:originalnachricht|urspr(?:ü|ue)ngliche (?:nachricht|e-?mail))[\W_]*$",
    (
        r"(?:message d.origine|mensaje original|messaggio originale|mensagem original)"
        r"[\W_]*(?:\w+[\W_]*)?$"
    ),
    r"(?:oorspronkelijk bericht|oryginalna wiadomość|исходное (?:сообщение|письмо))[\W_]*$",
    r"元のメッセージ|オリジナルメッセージ|原邮件|原始邮件",
)
QUOTE = re.compile("|".join(_QUOTE))
"""Announces that the returned message follows in the same text; lower case."""
