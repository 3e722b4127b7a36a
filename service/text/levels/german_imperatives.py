"""Requests to somebody addressed as du: a verb in the familiar imperative begins the sentence.

The form is the stem of the verb, often with -e; strong verbs with e in the stem take i or ie
instead (Duden, "Die Grammatik", 9th edition, section 609).
"""

import re

INFINITIVES = """
achten aktivieren aktualisieren antworten arbeiten atmen backen baden bauen beachten bedienen
beeilen beenden befolgen beginnen begleiten behalten behandeln beißen benutzen berechnen berichten
beruhigen beschreiben besorgen bestätigen bestellen besuchen beugen bewahren bewegen bezahlen biegen
bieten binden blasen bleiben braten bremsen brennen bringen buchen bügeln decken denken drehen
drucken drücken duschen empfangen entfernen entscheiden entschuldigen entsorgen ergänzen erinnern
erklären erlauben erledigen erneuern erzählen fahren falten fangen fassen fegen finden fliegen
folgen fragen fügen führen füllen füttern gehen genießen gießen glauben gratulieren greifen grüßen
halten hängen heben heften hinterlassen holen hören ignorieren informieren installieren kämmen
kaufen kehren kippen klappen klären kleben klettern klicken klingeln klopfen kneten kochen kommen
kontaktieren kontrollieren konzentrieren kopieren korrigieren kratzen kreuzen kümmern kündigen
kürzen lachen laden lassen laufen leeren legen lehnen leihen leisten lernen liefern löschen lösen
lüften lügen machen mahlen malen markieren meiden melden merken mieten mischen nähen nennen notieren
nutzen öffnen ordnen packen passen pflanzen pressen probieren prüfen pusten putzen rasieren raten
rauchen räumen rechnen reden reiben reichen reinigen reißen rennen reparieren reservieren retten
richten riechen rücken rufen ruhen rühren sagen sammeln schälen schalten schauen schenken schicken
schieben schlafen schlagen schleifen schließen schmecken schnallen schneiden schreiben schreien
schütteln schütten senden setzen sichern singen sitzen sortieren sparen speichern spielen sprühen
spülen starten stecken stehen steigen stellen stimmen stoppen stören strecken streichen streiten
streuen suchen tanken tanzen tauschen teilen tragen trainieren trennen trinken trocknen üben
überlassen überlegen überprüfen überqueren überraschen übersetzen übertreiben überweisen umarmen
unterbrechen unterschreiben unterstützen verbinden verbringen vereinbaren vergleichen verlassen
verlieren vermeiden verpacken verraten verschieben verschwenden verstecken verstehen versuchen
verteilen vertrauen verzeihen wählen warten waschen wechseln wecken weinen wenden wickeln
wiederholen wischen zählen zahlen zeichnen zeigen ziehen zögern zünden
"""
STRONG = """
brich empfiehl erschrick friss gib hab habe hilf iss lies miss nimm sei sieh sprich stiehl tritt
triff tu tue unterbrich verbirg verdirb vergib vergiss versprich werd werde wirf
"""
# They begin other sentences as often.
AMBIGUOUS = """
acht bade bau baue beginn bericht berichte halte liebe lehne ordne plan spiele start steh zahl
"""


def build_imperatives() -> frozenset[str]:
    """The familiar forms of the verbs, in lower case."""
    forms = set(STRONG.split())
    for infinitive in INFINITIVES.split():
        stem = re.sub(r"e?n$", "", infinitive)
        forms |= {stem, f"{stem}e"}
        if stem.endswith("el"):
            forms.add(f"{stem[:-2]}le")
    return frozenset(forms - set(AMBIGUOUS.split()))


IMPERATIVES = build_imperatives()
# "Suche ich ...", "Druck ist ..."
NO_REQUEST = {"ich", "er", "wir", "ihr", "man", "ist", "war", "muss", "kann", "hat", "wird"}
FIRST_WORDS = re.compile(
    r"(?:^|[.!:] |, )(?:und |aber |also,? |dann |komm,? )?(?:bitte,? |nun |jetzt )?"
    r"([^\W\d_]+)(?:'s)? ([^\W\d_]+)",
    re.IGNORECASE,
)


def has_familiar_request(text: str) -> bool:
    """Whether a sentence of the German text begins with a verb in the familiar imperative."""
    return any(
        verb.lower() in IMPERATIVES and follower.lower() not in NO_REQUEST
        for verb, follower in FIRST_WORDS.findall(text)
    ) and not text.rstrip().endswith("?")
