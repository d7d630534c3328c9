"""The closed classes of English words, and the few open ones whose form misleads."""


def _of(words: str) -> frozenset[str]:
    return frozenset(words.split())


SINGULAR = _of("a an one another this each every")
DETERMINERS = SINGULAR | _of(
    "the these those some any no many several few multiple various all both either neither enough much more most other "
    "such two three four five six seven eight nine ten eleven twelve dozen none half its his her their our my your "
    "it's whose numerous"
)
PREPOSITIONS = _of(
    "of in on at by for from with without to into onto over under above below behind beside besides between among "
    "amongst around across along through thru throughout down up off out near inside outside against atop toward "
    "towards within upon beneath underneath during before after past beyond about like as via per than amid aboard "
    "alongside opposite"
)
PAIRED = _of("and or but nor plus while &")
BEING = _of("is are was were be been being am isn't aren't wasn't weren't there's appears seems")
HELPING = _of("can could will would may might must shall should do does did don't doesn't didn't cannot can't")
HAVING = _of("has have had having")
RELATIVE = _of("who which that where when whom what how why")
PRONOUNS = _of(
    "it he she they them him i we us you me himself herself itself themselves something someone anything "
    "everyone nothing somebody everything nobody there here else"
)
ADVERBS = _of(
    "very too also just only still not never ever together away back forward again almost alone apart ahead so then "
    "now quite rather really even well soon once twice already else outdoors indoors outside upside aside instead "
    "maybe perhaps yet nearly nearby overhead downtown mid"
)

LINKS = tuple(
    tuple(words.split())
    for words in (
        "in front of",
        "on top of",
        "in back of",
        "on the side of",
        "on the edge of",
        "in the middle of",
        "next to",
        "close to",
        "left of",
        "right of",
        "to the left of",
        "to the right of",
        "out of",
        "inside of",
        "outside of",
        "on the left of",
        "on the right of",
        "because of",
        "instead of",
        "along with",
        "away from",
        "adjacent to",
        "such as",
        "as well as",
        "at the top of",
        "at the bottom of",
        "in between",
        "full of",
    )
)
"""Relations of several words that hold no verb; longer ones win."""

DESCRIBING = _of(
    "red orange yellow green blue purple pink brown black white gray grey tan beige golden silver gold cyan maroon "
    "turquoise big small large little tall short long tiny huge giant old young new older younger elderly happy "
    "sad dark light bright high low wide narrow thick thin round flat open empty full ready clean dirty "
    "wet dry hot cold warm fresh fancy plain modern vintage antique busy lone single double different same "
    "similar main low own entire whole wild cute beautiful nice good bad soft hard heavy striped spotted dotted "
    "plaid wooden colorful colourful blonde blond asleep upright able unable bare fake raw sharp male female "
    "adult nude close next sunny cloudy rainy snowy"
)
"""Words that name a quality and end like any other; alone they are no object."""

PLACES = _of("left right top bottom middle center centre front back side corner")
"""Words for parts of a picture: never a verb, whatever follows (`top left a circle`)."""

NAMING_ING = _of(
    "building ceiling thing king ring string wing spring swing sling morning evening awning railing painting clothing "
    "frosting icing stuffing dressing crossing bedding lighting pudding wedding sibling drawing duckling gathering "
    "setting opening covering seating siding flooring paving topping filling earring stocking"
)
"""Nouns in -ing: never a verb."""

DOING = _of(
    "appears approach approaches attempt attempts bat bats build built carries carry catch catches caught come "
    "comes contains cover covers cross crosses crouch crouches cut cuts display displays drive driven drives eat "
    "eats enjoy enjoys feature features fed feed feeds fill fills flies fly gather get gets go goes graze grazes "
    "hang hangs head heads held hit hits hold holds hung includes jump jumps kiss kneel kneels laid lay lays lean "
    "leans lie lies line lines lit look looks made make makes move moves pass passes perform performs pitch "
    "pitches play plays pose poses prepare prepares pull pulls put puts race races reach reaches read reads rest "
    "rests ride rides rode run runs sat see seems seen sees serve serves set sets share shares show shown shows "
    "sit sits skateboard skateboards ski skis sleep sleeps sliced smile smiles stand stands stood stop stops surf "
    "surfs surround surrounds swing swings take taken takes talk talks throw thrown throws took travel travels "
    "tries try turn turns use uses wade wait waits walk walks watch watches wear wears work works worn"
)
"""Common verbs whose form does not tell them from nouns: verbs behind a noun that they agree with."""

NO_ADVERB = _of(
    "family fly butterfly jelly belly lily assembly ugly curly silly early only elderly daily lonely "
    "lovely friendly july italy ally bully holly trolley"
)
"""Words in -ly that are no adverbs."""
