"""Ground forms of nouns and verbs by their endings."""

IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "oxen": "ox",
    "knives": "knife",
    "wives": "wife",
    "lives": "life",
    "leaves": "leaf",
    "loaves": "loaf",
    "shelves": "shelf",
    "halves": "half",
    "wolves": "wolf",
    "calves": "calf",
    "scarves": "scarf",
    "movies": "movie",
    "cookies": "cookie",
    "brownies": "brownie",
    "veggies": "veggie",
    "selfies": "selfie",
    "ties": "tie",
    "pies": "pie",
    "shoes": "shoe",
    "toes": "toe",
    "canoes": "canoe",
    "buses": "bus",
    "gases": "gas",
    "lenses": "lens",
    "axes": "ax",
    "skis": "ski",
    "taxis": "taxi",
    "cattle": "cattle",
}
"""Plurals that the endings do not tell."""

UNCHANGED = frozenset(
    {
        "scissors",
        "glasses",
        "pants",
        "shorts",
        "jeans",
        "binoculars",
        "goggles",
        "series",
        "sheep",
        "tennis",
        "gas",
        "bus",
        "canvas",
        "lens",
        "christmas",
        "news",
        "clothes",
        "sports",
    }
)
"""Nouns in -s that are no plurals, or have no singular."""

PAST = {
    "sat": "sit",
    "stood": "stand",
    "laid": "lay",
    "held": "hold",
    "rode": "ride",
    "hung": "hang",
    "taken": "take",
    "took": "take",
    "made": "make",
    "shown": "show",
    "seen": "see",
    "worn": "wear",
    "thrown": "throw",
    "caught": "catch",
    "driven": "drive",
    "built": "build",
    "lit": "light",
    "fed": "feed",
    "lying": "lie",
    "tying": "tie",
    "has": "have",
    "had": "have",
    "having": "have",
    "goes": "go",
    "does": "do",
}
"""Verbs that the endings do not tell."""

VOWELS = "aeiou"


def plural(word: str) -> bool:
    """Whether a noun of this form means several."""
    return (
        word in IRREGULAR
        or word in ("cattle", "sheep")
        or (len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) and word not in UNCHANGED)
    )


def noun(word: str) -> str:
    """The singular: `horses` -> horse, `benches` -> bench, `puppies` -> puppy, `women` -> woman."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if not plural(word) or word in UNCHANGED:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes", "toes")):
        return word[:-2]
    return word[:-1]


def verb(word: str) -> str:
    """The infinitive: `sitting` -> sit, `riding` -> ride, `carries` -> carry, `parked` -> park."""
    if word in PAST:
        return PAST[word]
    if word.endswith("ing") and any(letter in VOWELS + "y" for letter in word[:-3]):
        return _stem(word[:-3])
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("ed") and len(word) > 4:
        return _stem(word[:-2])
    return noun(word)


def _stem(stem: str) -> str:
    """A verb without its ending: a doubled consonant is undone, a silent e put back."""
    if len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in "lsz" + VOWELS:
        return stem[:-1]
    if stem.endswith(("v", "c", "dg", "rg", "ng", "at", "iz", "as", "us", "rs", "par")) and not stem.endswith(
        ("eat", "oat", "ing", "ang", "ong", "ung", "focus")
    ):
        return stem + "e"
    beats = sum(letter in VOWELS for letter in stem)
    if beats == 1 and len(stem) > 2 and stem[-2] in VOWELS and stem[-1] not in VOWELS + "wxy":
        return stem + "e"
    return stem + "e" if stem.endswith(("bl", "tl", "dl", "gl", "pl", "kl")) else stem
