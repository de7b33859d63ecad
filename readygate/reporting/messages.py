"""The fixed words of the page in English and Russian; what a run has said stays in its own language."""

from __future__ import annotations

from collections.abc import Mapping

from readygate.reporting.reading import blocking
from readygate.verdict import Verdict, Word

LANGUAGES = ("en", "ru")

_PAIRS: dict[str, tuple[str, str]] = {
    # outcomes and severities
    "passed": ("passed", "пройдено"),
    "failed": ("failed", "провалено"),
    "error": ("could not look", "нет данных"),
    "not_run": ("not run", "не запускалось"),
    "warned": ("warning", "предупреждение"),
    "waived": ("waived", "исключено"),
    "attested": ("attested", "заверено"),
    "blocker": ("blocker", "блокирующая"),
    "major": ("major", "важная"),
    "minor": ("minor", "второстепенная"),
    "info": ("info", "справочная"),
    # the first screen
    "skip": ("Skip to the checks", "Перейти к проверкам"),
    "reasons": ("What stands in the way", "Что мешает выпуску"),
    "excused": ("What is excused", "Что исключено"),
    "notes": ("Worth knowing", "Стоит знать"),
    "no_reasons": ("Nothing stands in the way.", "Выпуску ничто не мешает."),
    "fix": ("Fix", "Исправить"),
    "owner": ("owner", "отвечает"),
    "nobody": ("no owner", "ответственный не указан"),
    "more": ("more", "ещё"),
    "checks_blinded": ("with the same cause", "по той же причине"),
    "ran_out": (
        "This answer has run out. Run the checks again before relying on it.",
        "Срок этого ответа истёк. Повторите проверки, прежде чем на него полагаться.",
    ),
    "judged": ("What was judged", "Что оценивалось"),
    "version": ("Version", "Версия"),
    "commit": ("Commit", "Коммит"),
    "images": ("Images", "Образы"),
    "on": ("in", "в окружении"),
    "profile": ("Profile", "Профиль"),
    "inventory": ("Inventory", "Инвентарь"),
    "finished": ("Finished", "Завершено"),
    "started": ("Started", "Начато"),
    "valid_until": ("Valid until", "Действует до"),
    "coverage": ("Coverage", "Покрытие"),
    "declared": ("declared", "объявлено"),
    "verified": ("verified", "проверено"),
    "margins": ("Tightest margins", "Самые малые запасы"),
    "limit": ("limit", "предел"),
    "changes": ("Since the last green run", "С последнего зелёного прогона"),
    "broke": ("broke", "сломалось"),
    "mended": ("mended", "исправлено"),
    "new": ("new", "новое"),
    "gone": ("no longer declared", "больше не объявлено"),
    "no_changes": ("Nothing has changed.", "Ничего не изменилось."),
    # below it
    "headroom": ("Headroom", "Запас до предела"),
    "headroom_said": (
        "How far each measured value is from its limit, as a share of it; left of 0% is beyond.",
        "Насколько измеренное значение далеко от предела, в долях предела; левее 0% предел превышен.",
    ),
    "checks": ("Checks", "Проверки"),
    "filter": ("Filter by any text", "Отбор по любому тексту"),
    "severity": ("Severity", "Серьёзность"),
    "any": ("any severity", "любая серьёзность"),
    "shown": ("shown", "показано"),
    "nothing_shown": ("Nothing matches this filter.", "Под этот отбор ничего не подходит."),
    "expected": ("expected", "ожидается"),
    "actual": ("actual", "на деле"),
    "margin": ("margin", "запас"),
    "target": ("target", "цель"),
    "why": ("why", "почему"),
    "mend": ("mend", "исправить"),
    "evidence": ("evidence", "свидетельство"),
    "attempts": ("attempts", "попыток"),
    "path": ("path", "путь"),
    "cut": ("cut here; the whole is in results.json", "обрезано; целиком в results.json"),
    "annotated": ("The inventory, line by line", "Инвентарь построчно"),
    "annotated_said": (
        "The number in the margin is how many checks verify the line; it links to the worst of them.",
        "Число на полях: сколько проверок подтверждают строку; ссылка ведёт к худшей из них.",
    ),
    "theme": ("Dark or light", "Тёмная или светлая"),
    "drawn": ("Drawn", "Составлено"),
    "of": ("of", "из"),
}


def words(verdict: Verdict) -> dict[str, Mapping[str, str]]:
    """All fixed words by language and key, and under `sentence` what the verdict says."""
    english = {key: pair[0] for key, pair in _PAIRS.items()} | {"sentence": verdict.sentence}
    russian = {key: pair[1] for key, pair in _PAIRS.items()} | {"sentence": _sentence_in_russian(verdict)}
    return {"en": english, "ru": russian}


def _sentence_in_russian(verdict: Verdict) -> str:
    seen = verdict.coverage
    checked = f"проверено {seen.verified} из {seen.declared} ожиданий"
    match verdict.word:
        case Word.GO:
            return f"Выпускать: {checked}, все выполнены."
        case Word.GO_WITH_WAIVERS:
            excused = f"исключено {seen.waived}, ниже порога {seen.failed}"
            return f"Выпускать, зная об исключениях: {checked}, {excused}."
        case Word.NO_GO:
            return f"Не выпускать: не выполнено блокирующих ожиданий: {blocking(verdict)} из {seen.declared}."
        case Word.INCOMPLETE:
            return f"Не доказано: {checked}, не удалось или не пришлось проверить {seen.errors + seen.not_run}."
