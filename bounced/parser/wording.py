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
    r"nicht an \S{3,320} (?:zugestellt|übermittelt|gesendet|ausgeliefert)",
    r"fehler bei der (?:nachrichten)?zustellung",
    r"empfänger[^.\n]{0,40}(?:unbekannt|nicht (?:gefunden|bekannt))",
    # French
    r"n'a(?: pas)? pu être|n'a pas été (?:remis|distribu|livr|délivr)\w*",
    r"échec de (?:la )?(?:remise|livraison|distribution)|non remis",
    r"impossible de (?:remettre|livrer|délivrer)",
    # Spanish
    r"no (?:se )?(?:ha )?(?:pudo|podido|puede) (?:ser )?entreg\w*|error (?:de|en la) entrega",
    r"no se entregó|no (?:se )?(?:ha sido|fue|ha) entregad\w*|no se pudo realizar la entrega",
    # Italian
    r"non è stat[oa] (?:possibile )?(?:consegn|recapit|invi)\w*",
    r"(?:mancata|impossibile)(?: la)? (?:consegn|recapit)\w*|recapito non (?:è )?riuscito",
    # Dutch
    r"(?:kon|kan|kunnen)[^.\n]{0,60}niet[^.\n]{0,40}(?:bezorgd|afgeleverd|verzonden)",
    r"niet (?:bezorgd|afgeleverd)|onbestelbaar",
    # Portuguese
    r"n[ãa]o (?:p[ôo]de|foi poss[íi]vel|pode) (?:ser )?(?:entreg|envia)\w*|falha na entrega",
    r"não foi entregue",
    # Polish
    r"nie (?:można|mogła|mógł|został|została|udało się)[^.\n]{0,40}(?:dostarcz|doręcz)\w*",
    # Russian
    r"не (?:может|могло|было|удалось|смогло)[^.\n]{0,40}доставл?\w*|не доставлено",
    r"невозможно доставить|сбой доставки|не уда(?:ло|ет)ся доставить|не вдалося доставити",
    # Czech, Slovak, Hungarian, Romanian
    r"(?:nelze|nepodařilo se) doručit|doruč\w{0,9}[^.\n]{0,60} (?:nezdařilo|selhalo|zlyhalo)",
    r"neby(?:l|l[ao]) doručen\w*|nepodarilo doručiť|nem (?:sikerült )?kézbesít\w*",
    r"kézbesítés[^.\n]{0,40} sikertelen|nu a putut fi livrat\w*|livrarea[^.\n]{0,40} eșuat",
    # Swedish, Danish, Norwegian, Finnish
    r"(?:kan|kunde|kunne|gick) (?:inte|ikke) (?:att )?lever\w*|(?:ikke|inte) lever(?:et|t|erats)",
    r"ei voitu toimittaa|toimitus[^.\n]{0,40} epäonnistui",
    # Turkish, Greek, Korean
    r"teslim (?:edil\w*|başarısız)|iletilemedi|gönderilemedi|δεν (?:ήταν δυνατή|παραδόθηκε)",
    r"(?:전송|배달|전달)(?:하지|되지|할 수| ?실패|에 실패)",
    # Japanese
    r"(?:送信|配信|配達|送付|配送)(?:に失敗|できません|できず|不能|エラー|されません)",
    r"送達できません|リストにありません",
    # Chinese
    r"无法(?:投递|送达|发送|传递)|未能[^。\n]{0,20}(?:送达|投递|传递|发送)|未(?:能向|送达)|投递失败|退信|發送失敗|無法(?:投遞|傳送|送達)",
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
    r"still (?:queued|in (?:the )?(?:retry )?queue)",
    r"verzögert\w*|verzögerung|(?:noch|bisher|bislang) nicht (?:zugestellt|ausgeliefert)",
    r"weitere zustellversuche|(?:noch|weiterhin) in der (?:wiederholungs-?)?warteschlange",
    r"müssen[^.\n]{0,40} nicht (?:erneut|noch ?mals|noch einmal) (?:ver)?senden",
    r"(?:remise|livraison) (?:différée|retardée)",
    # French
    r"n'a(?:yant)? pas encore (?:pu être |été )?(?:remis|distribu|livr|délivr|envoy|achemin)\w*",
    r"non encore (?:remis|distribu|livr|délivr)\w*|(?:remise|livraison|distribution) en attente",
    r"(?:simple|seulement un) avertissement|nouvelles tentatives|retard (?:de|dans) la remise",
    r"(?:message|courrier|e-?mail)s? (?:(?:a|ont|est) (?:été )?)?(?:retardé|différé)\w*",
    # Spanish
    r"(?:aún|todavía) no (?:se )?(?:ha )?(?:sido |podido |pudo )*(?:entreg|envi|transmit)\w*",
    r"s[óo]lo (?:es )?(?:un|una) (?:aviso|advertencia)|seguir(?:á|emos|án) intent\w*",
    r"(?:mensaje|entrega|correo)[^.\n]{0,40} (?:retras|demor)\w*|retraso (?:en|de) la entrega",
    # Italian
    r"non (?:è|e')(?: stat[oa])? ancora (?:stat[oa] )?(?:possibile )?(?:consegn|recapit|invi)\w*",
    r"non ancora (?:consegn|recapit)\w*|(?:solo|soltanto) un avviso",
    r"(?:nuovi|altri|ulteriori) tentativi|ritardo (?:nella|della|di) (?:consegna|recapito)",
    r"consegna (?:ritardata|in ritardo|differita)",
    # Dutch
    r"nog niet (?:kunnen )?(?:worden )?(?:bezorgd|afgeleverd|verzonden)|slechts een waarschuwing",
    r"(?:bezorging|aflevering|bericht)[^.\n]{0,40} (?:vertraagd|uitgesteld)|vertraging bij de",
    # Portuguese
    r"ainda não (?:foi |p[ôo]de )?(?:possível |ser )?(?:entreg|envia)\w*|(?:só|apenas) um aviso",
    r"(?:mensagem|entrega)[^.\n]{0,40} (?:atrasad|adiad)\w*|atraso na entrega",
    # Polish
    r"jeszcze nie (?:został[ao]? )?(?:dostarcz|doręcz)\w*",
    r"nie został[ao]? jeszcze (?:dostarcz|doręcz)\w*",
    r"opóźni(?:on|en)\w*|(?:tylko|jedynie) ostrzeżenie|kolejne próby",
    # Russian
    r"(?:ещ[её]|пока) не (?:был[оа]? |удалось )?достав\w*",
    r"не (?:был[оа]? )?(?:ещ[её]|пока) достав\w*",
    r"задержк\w*|задержан\w*|отложен\w*|(?:лишь|только) предупреждение",
    # Japanese and Chinese
    r"(?:配信|配達|送信|配送)(?:が|の)?(?:遅延|遅れ)|遅延(?:して|通知)|まだ(?:配信|配達|送信|届)",
    r"försena\w*|forsink\w*|viivästy\w*|zpožděn\w*|késik|késleltet\w*|întârzi\w*|gecik\w*|지연",
    r"延迟|延遲|尚未(?:投递|送达|传递|送達|投遞|傳遞)|(?:继续|繼續)(?:尝试|嘗試)",
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

_SUCCEEDED = (
    r"(?<!not )success(?:ful|fully)(?: mail)? deliver(?:y|ed)|(?<!not )delivered successfully",
    r"is complete, but no delivery notification|(?<!nicht )erfolgreich (?:zugestellt|übermittelt)",
    r"remis avec succès|entregad[oa] (?:correctamente|con éxito)|consegnat[oa] correttamente",
)
SUCCEEDED = re.compile("|".join(_SUCCEEDED), re.IGNORECASE)
"""Says that a mail was delivered; such a report often names delivery errors all the same."""

_FAILED_SUBJECT = (
    r"undeliver|fail(?:ure|ed)|return(?:ed|ing)|not delivered|\berror\b|bounce|rejected",
    r"delivery (?:status|problem|error|report)|unzustellbar|nicht zugestellt|zustell|unbestellbar",
    r"non remis|non distribu|échec|no (?:se )?(?:ha )?entrega|no entregado|mancata consegna",
    r"non recapitat|onbestelbaar|não entregue|недоставл|не доставлен",
    r"не удается доставить|配信不能",
    r"エラー|退信|退回|未送达|配信できません|配信に失敗|niedostarcz",
    r"no se puede entregar|no es posible entregar",
    r"nedoručit|teslim edil|lever(?:eras|es)\b|kézbesíthet|toimittaa|nelivrat",
    r"não é possível entregar",
)
FAILED_SUBJECT = re.compile("|".join(_FAILED_SUBJECT), re.IGNORECASE)
"""Titles of failure reports; ordinary mail has such subjects, too."""

_DAEMON = (
    r"mail(?:er)?-?daemon|post-?_?master|mdaemon|mail[ ._-]?deliver[yr]?[ ._-]?(?:sub)?system",
    r"(?:mail )?system ?administrator|mail administrator|delivery[ ._-](?:sub)?system",
    r"mail system|jetmail|smtp_mail_service|antivirus[\w_]*gateway|sysadmin|microsoft outlook",
    # Shops and people have a mail server in their name, too.
    r"^[\s\"']*mail ?server[\s\"']*(?:<|$)",
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
    r"nicht mehr (?:im unternehmen|in der firma)\b",
    r"otomatik (?:yan[iı]t|cevap)|ofis d[iı]s[iı]nda|izindeyim|y[iı]ll[iı]k izin",
    r"автоматическии ответ|автоответ|вне офиса|нет на месте|я в отпуске",
)
AUTO_SUBJECT = re.compile("|".join(_AUTO_SUBJECT))
"""Begins the title of an automatic reply; lower case, without the marks of letters."""

_ABSENT = (
    r"out of (?:the )?office|on (?:\w{1,12} )?leave\b|on vacation|on holidays?|currently away",
    r"no longer (?:work(?:s|ing)?|employed|with) (?:for|at|by|us|the company)",
    r"abwesen(?:d|heit)|urlaub|elternzeit|mutterschutz|nicht im (?:büro|hause)|außer haus",
    r"(?:bin ich|ich bin)[^.\n]{0,60} (?:nicht|wieder)[^.\n]{0,30} (?:erreichbar|da|im büro)\b",
    r"nicht mehr (?:für uns|im unternehmen|bei uns|in unserem)",
    r"absente?\b|en congés?|en vacances|de retour le|hors du bureau",
    r"fuera de (?:la )?oficina|de vacaciones|ausente|fuori (?:sede|ufficio)|in ferie|assente",
    r"(?:met|op) (?:vakantie|verlof)|afwezig|niet aanwezig|na urlopie|nieobecn|poza biurem",
    r"de férias|fora do escritório|de licença|в отпуске|отсутству\w*|вне офиса",
    r"izindeyim|ofis(?:te)? (?:dışında|değilim)",
    r"休暇|不在|外出(?:して|中)|休假|不在办公室|不在辦公室",
)
ABSENT = re.compile("|".join(_ABSENT), re.IGNORECASE)
"""Says that somebody is away: words of people, which no mail system uses."""

_ACKNOWLEDGED = (
    r"(?:anfrage|nachricht|e-?mail|ticket|schreiben)[^.\n]{0,40}(?:eingegangen|erhalten)",
    r"(?:eingangs|empfangs)bestätigung",
    r"(?:request|message|e-?mail|ticket|enquiry|inquiry|case)[^.\n]{0,40} (?:been )?received",
    r"(?:have|we) received your|ticket (?:received|created|opened)|acknowledg(?:e)?ment",
    r"(?:demande|message|courriel)[^.\n]{0,40}(?:bien )?(?:reçu|enregistrée?)|accusé de réception",
    r"(?:hemos|he) recibido|(?:solicitud|mensaje)[^.\n]{0,40} recibid|acuse de recibo",
    r"(?:abbiamo|ho) ricevuto|(?:richiesta|messaggio)[^.\n]{0,40} ricevut",
    r"hebben (?:uw|je)[^.\n]{0,40} ontvangen|ontvangstbevestiging",
    r"otrzymaliśmy|potwierdzenie (?:otrzymania|przyjęcia)|recebemos|confirmação de rece",
    r"(?:получили|получено|зарегистриров)\w*|受け付け|受付|お問い合わせ|已收到",
)
ACKNOWLEDGED = re.compile("|".join(_ACKNOWLEDGED), re.IGNORECASE)
"""Titles of the answer that a ticket system gives; people write such titles, too."""

_AUTOMATIC = (
    r"automatisch (?:erzeugt|erstellt|generiert|versandt|versendet|verschickt|gesendet)\w*",
    r"(?:this is an |an )?automat(?:ed|ic|ically generated) (?:e-?mail|message|reply|response)",
    r"(?:message|courriel|e-?mail|réponse) (?:est |a été )?(?:envoyée? |générée? )?automatique",
    r"(?:mensaje|correo|respuesta) (?:generad[oa] )?automátic|(?:messaggio|risposta) automatic",
    r"automatisch (?:gegenereerd|verzonden)|wygenerowan\w{1,3} automatycznie",
    r"自动(?:发送|回复)|自動送信",
)
AUTOMATIC = re.compile("|".join(_AUTOMATIC), re.IGNORECASE)
"""Says that a program wrote the mail; many programs do, so never enough alone."""

_QUOTE = (
    (
        # Not Postfix's "delete your own text from the attached returned message."
        r"(?<!the attached )"
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
    r"(?:top|first) \d+ lines of (?:the|your) (?:original )?message follow",
    r"your message reads \(in part\)",
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

_ADVICE = (
    r"(?:please )?(?:try|retry|resend)\b[^.!?<]{0,200}?\b(?:again|later|retry)\b",
    r"(?:bitte )?(?:versuchen sie|senden sie)[^.!?<]{0,200}?(?:später|erneut|noch einmal)",
    r"(?:veuillez )?(?:réessay|renvoy)(?:er|ez)\b[^.!?<]{0,200}?(?:tard|ultérieurement|message)",
    r"(?:por favor,? )?(?:inténtelo|intente|vuelva a)\b[^.!?<]{0,200}?(?:más tarde|de nuevo)",
    r"(?:si prega di )?(?:riprova(?:re|te)?|ritentare)\b[^.!?<]{0,200}?(?:più tardi|messaggio)",
    r"probeer\b[^.!?<]{0,200}?(?:opnieuw|later)",
    r"(?:proszę )?spróbuj\w{0,4}\b[^.!?<]{0,200}?(?:później|ponownie)",
    r"(?:por favor,? )?tente\b[^.!?<]{0,200}?(?:mais tarde|novamente)",
    r"(?:попробуйте|повторите)\b[^.!?<]{0,200}?(?:позже|ещ[её] раз|попытку)",
)
ADVICE = re.compile(rf"(?<=[.!?] )(?:{'|'.join(_ADVICE)})[^.!?<]{{0,300}}[.!?]?", re.IGNORECASE)
"""A sentence, not the first, that advises the sender to try again: no reason why it failed."""
