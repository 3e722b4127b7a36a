"""Golden texts of a version: chosen by task and language, answered by the version itself."""

from pathlib import Path

from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.goldens import agrees, answer_golden
from service.repository.loader import load_model
from service.repository.manifest import Condition, Golden, Manifest

SPAM_TEXTS = {
    "en": [
        "Are we still meeting for lunch today?",
        "WINNER! You have won a free prize. Call 09061701461 now to claim, 150p per min.",
    ],
}
GOLDEN_TEXTS = {
    "ko": ["이 영화 정말 재미있어요", "시간이 아까웠다. 다시는 안 본다."],
    "en": ["A delight from start to finish.", "Two hours I will never get back."],
    "de": ["Ein großartiger Film, sehr zu empfehlen.", "Nie wieder, schade um das Geld."],
}
GOLDENS_BY_PURPOSE = {"spam": SPAM_TEXTS}
TRANSLATION_TEXTS = {
    "en": ["A man is riding a bicycle.", "Two dogs are playing in the snow."],
    "de": ["Ein Mann fährt mit dem Fahrrad.", "Zwei Hunde spielen im Schnee."],
    "ko": ["한 남자가 자전거를 타고 있다.", "지하철역이 어디예요?"],
}
PROMPTS = {
    "en": ["", "The king"],
    "de": ["", "Der König"],
    "ko": ["", "이 영화"],
}
REMARKS = {
    "en": ["I am tired today.", "What shall we eat?"],
    "de": ["Ich bin heute müde.", "Was sollen wir essen?"],
    "ko": ["오늘 너무 피곤해", "뭐 먹을까?"],
}
PROMPTS_BY_TASK = {"language": PROMPTS, "text2text": REMARKS}


def add_goldens(folder: Path) -> Manifest:
    """Adds goldens to a manifest, with the answers of its first precision.

    A text on which the precisions disagree is omitted: rounding flips uncertain answers.

    Raises:
        ArtefactError: no golden text is within the model's limit, or the precisions agree on none.
    """
    model = load_model(folder, Device("cpu"))
    others = [
        load_model(folder, Device("cpu"), precision=precision)
        for precision in model.manifest.precisions
        if precision != model.precision
    ]
    limit = model.manifest.limits.max_input_tokens
    usable = [
        golden
        for golden in list_goldens(model.manifest)
        if 0 < len(model.encode([golden.text])[0]) <= limit
    ]
    if not usable:
        raise ArtefactError(f"no golden text has 1 to {limit} tokens; increase max_tokens")
    goldens = []
    for golden in usable:
        output, score = answer_golden(model, golden)
        answered = golden.model_copy(update={"output": output, "score": round(score, 4)})
        if all(agrees(other, answered, *answer_golden(other, golden)) for other in others):
            goldens.append(answered)
    if not goldens:
        raise ArtefactError(
            f"{' and '.join(model.manifest.precisions)} agree on none of {len(usable)} golden "
            "texts; export one precision, or train longer"
        )
    return model.manifest.model_copy(update={"goldens": tuple(goldens)})


def list_goldens(manifest: Manifest) -> list[Golden]:
    """Returns golden texts in the languages of a model, English by default, without answers."""
    if manifest.task == "translation":
        return [
            Golden(text=text, output="", score=0.0, source=source, target=target)
            for source, target in manifest.pairs
            for text in TRANSLATION_TEXTS.get(source, TRANSLATION_TEXTS["en"])
        ]
    of_purpose = GOLDENS_BY_PURPOSE.get(manifest.purpose, GOLDEN_TEXTS)
    known = PROMPTS_BY_TASK.get(manifest.task, of_purpose)
    texts = [known.get(code, known["en"]) for code in manifest.languages]
    unique = dict.fromkeys(text for group in texts for text in group)
    return [
        Golden(text=text, output="", score=0.0, features=features)
        for features in list_conditions(manifest.condition)
        for text in unique
    ]


def list_conditions(condition: Condition | None) -> list[tuple[float, ...] | None]:
    """Conditions to try a model with: each label, or zeros; None for a model without."""
    if condition is None:
        return [None]
    if condition.labels:
        return [condition.encode(label) for label in condition.labels]
    return [(0.0,) * condition.size]
