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
    "part": (
        "This run looked at a part of the inventory only; `readygate merge` of all parts gives the answer. Part",
        "Этот прогон видел только часть инвентаря; ответ даст `readygate merge` всех частей. Часть",
    ),
    "excuses": ("Waived: somebody answers for it", "Исключено под чью-то ответственность"),
    "accepted": ("Failed, below what blocks", "Провалено, но не блокирует"),
    "attested_by": ("Attested: somebody's word", "Заверено людьми"),
    "findings": ("To tidy up", "Навести порядок"),
    "until": ("until", "до"),
    "approved_by": ("approved by", "одобрено:"),
    "jump": ("On this page", "На этой странице"),
    "notes": ("Worth knowing", "Стоит знать"),
    "no_reasons": ("Nothing stands in the way.", "Выпуску ничто не мешает."),
    "fix": ("Fix", "Исправить"),
    "owner": ("owner", "отвечает"),
    "nobody": ("no owner", "ответственный не указан"),
    "more": ("more", "ещё"),
    "list": ("in the list of checks", "в списке проверок"),
    "results": ("results", "результатов"),
    "checks_blinded": ("with the same cause", "по той же причине"),
    "why_it_matters": ("Why it matters", "Почему это важно"),
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
    "not_asked": ("not asked for by this profile", "этот профиль не спрашивает"),
    "shard": ("Part", "Часть"),
    "pointed": ("Looked for elsewhere:", "Проверялось в другом месте:"),
    "margins": ("Tightest margins", "Самые малые запасы"),
    "limit": ("limit", "предел"),
    "changes": ("Since the last green run", "С последнего зелёного прогона"),
    "broke": ("broke", "сломалось"),
    "mended": ("mended", "исправлено"),
    "new": ("new", "новое"),
    "gone": ("no longer declared", "больше не объявлено"),
    "no_changes": ("Nothing has changed.", "Ничего не изменилось."),
    "trend": ("Trend", "Динамика"),
    "runs": ("runs", "прогонов"),
    "unmet": ("not met", "не выполнено"),
    # below it
    "matrix": ("Where it stands", "Где что не так"),
    "matrix_said": (
        "The sign is of the worst result, the number of how many are like it. A link shows them in the list.",
        "Знак показывает худший результат, число: сколько таких. Ссылка показывает их в списке.",
    ),
    "other": ("other checks", "другие проверки"),
    "not_shown": ("more, none worse than these", "ещё, не хуже этих"),
    "everywhere": ("show all again", "снова показать все"),
    "load": ("Under load", "Под нагрузкой"),
    "load_said": (
        "Shaded seconds are the warm-up, which does not count.",
        "Закрашенные секунды: разогрев, он не учитывается.",
    ),
    "measured_for": ("measured for", "измерялось"),
    "offered": ("journeys offered", "сценариев предложено"),
    "answered": ("right answers", "верных ответов"),
    "errors_seen": ("errors", "ошибок"),
    "saturated": ("The load generator was too busy to be trusted:", "Генератор нагрузки не справлялся:"),
    "stopped_early": ("The run ended early:", "Прогон прерван:"),
    "latency": ("Response time, second by second", "Время ответа по секундам"),
    "distribution": ("Response time by percentile", "Время ответа по процентилям"),
    "rate": ("Throughput", "Пропускная способность"),
    "users": ("Users", "Пользователи"),
    "errors": ("Errors", "Ошибки"),
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
    "more_mends": ("(what differs from it for some is in results.json)", "(где иначе, сказано в results.json)"),
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
    met = seen.verified - seen.failed
    unseen = seen.errors + seen.not_run
    match verdict.word:
        case Word.GO:
            attested = f", заверено {seen.attested}" if seen.attested else ""
            return f"Выпускать: выполнено всё, о чём спрашивали; проверено {met}{attested}."
        case Word.GO_WITH_WAIVERS:
            good = f"выполнено {met + seen.attested} из {seen.declared}"
            excused = f", исключено {seen.waived}" if seen.waived else ""
            failed = f", ниже порога провалено {seen.failed}" if seen.failed else ""
            return f"Выпускать, зная об исключениях: {good}{excused}{failed}."
        case Word.NO_GO:
            good = f"из {seen.declared} выполнено {met + seen.attested}"
            unverified = f", не проверено {unseen}" if unseen else ""
            return f"Не выпускать: блокирующих провалов {blocking(verdict)}; {good}{unverified}."
        case Word.INCOMPLETE:
            if not unseen:
                return "Пока не выпускать: блокирующих провалов нет, но часть доказательств отсутствует."
            blind = f", нет данных: {seen.errors}" if seen.errors else ""
            not_run = f", не запускалось: {seen.not_run}" if seen.not_run else ""
            return f"Пока не выпускать: всего ожиданий {seen.declared}{blind}{not_run}."
