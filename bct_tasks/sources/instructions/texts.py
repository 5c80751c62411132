"""The texts of `checkable`: questions with a reply in two sentences and in three points, and short paragraphs.

Written for this project. No sentence has a comma, and the first of a reply has at most 20 words, so that each reply
passes every check in which it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """A question and the reply to it.

    Attributes:
        word: occurs in the reply.
    """

    question: str
    first: str
    second: str
    points: tuple[str, str, str]
    word: str

    @property
    def reply(self) -> str:
        """Both sentences."""
        return f"{self.first} {self.second}"

    def subjects(self) -> list[str]:
        """Words of the question and of the reply that a reply about the same subject is likely to share."""
        found = re.findall(r"[a-z]{5,}", f"{self.question} {self.first} {' '.join(self.points)}".casefold())
        return sorted({*found, self.word.casefold()} - COMMON)


#: Words that are about no subject.
COMMON = frozenset(
    [
        "about",
        "after",
        "again",
        "because",
        "before",
        "being",
        "could",
        "every",
        "first",
        "light",
        "makes",
        "never",
        "other",
        "should",
        "their",
        "there",
        "these",
        "things",
        "which",
        "while",
        "would",
    ]
)


def _item(question: str, first: str, second: str, points: str, word: str) -> Item:
    one, two, three = points.split(" | ")
    return Item(question, first, second, (one, two, three), word)


ITEMS: tuple[Item, ...] = (
    _item(
        "Why do leaves change colour in autumn?",
        "Leaves stop making green chlorophyll and other colours become visible.",
        "Yellow and orange were there all summer and only the green hid them.",
        "Days grow shorter | Chlorophyll breaks down | Yellow and orange show",
        "chlorophyll",
    ),
    _item(
        "How can I keep bread fresh for longer?",
        "Keep bread in a paper bag inside a bread box at room temperature.",
        "Freeze the slices that you will not eat within three days.",
        "Use a bread box | Keep it dry | Freeze what is left",
        "bread",
    ),
    _item(
        "What should I check before I buy a used bicycle?",
        "Check the frame for cracks and make sure that both wheels turn straight.",
        "Then test the brakes and look at the chain for rust.",
        "Look at the frame | Spin the wheels | Test the brakes",
        "brakes",
    ),
    _item(
        "How do I fall asleep more easily?",
        "Go to bed at the same time every night and keep the room dark.",
        "Put away bright screens for an hour before you sleep.",
        "Keep regular hours | Darken the room | Avoid screens",
        "night",
    ),
    _item(
        "Why is the sea salty?",
        "Rivers carry dissolved minerals from rocks into the sea and the salt stays there.",
        "Water leaves the sea as vapour but the minerals cannot.",
        "Rain dissolves rock | Rivers carry salt | Water evaporates without it",
        "minerals",
    ),
    _item(
        "How can I remember people's names?",
        "Repeat the name aloud when you hear it and link it to a picture.",
        "Write it down on the same day if the person matters to you.",
        "Repeat the name | Link it to a picture | Write it down",
        "picture",
    ),
    _item(
        "What makes a good letter of thanks?",
        "A good letter of thanks names the gift and says what it means to you.",
        "It is short and it arrives soon.",
        "Name the gift | Say what it means | Send it soon",
        "gift",
    ),
    _item(
        "How do I water house plants while I am away?",
        "Put the pots into a tray with wet clay balls and move them out of the sun.",
        "A friend who visits once a week is still the safest choice.",
        "Use a wet tray | Move pots to shade | Ask a friend",
        "pots",
    ),
    _item(
        "Why do we have leap years?",
        "A year is about a quarter of a day longer than 365 days.",
        "Every fourth year an extra day in February makes up for it.",
        "A year has 365.24 days | The rest adds up | February gets a day",
        "February",
    ),
    _item(
        "How can I save electricity at home?",
        "Switch off devices that you do not use and wash clothes in cold water.",
        "Old refrigerators and light bulbs are worth replacing first.",
        "Switch devices off | Wash with cold water | Replace old bulbs",
        "water",
    ),
    _item(
        "What is a good first instrument for a child?",
        "The ukulele is a good first instrument because it is small and easy to tune.",
        "A recorder or a small keyboard also works well.",
        "Ukulele | Recorder | Small keyboard",
        "ukulele",
    ),
    _item(
        "How should I pack a suitcase?",
        "Put heavy things near the wheels and roll soft clothes around them.",
        "Keep medicine and papers in a bag that stays with you.",
        "Heavy things first | Roll the clothes | Keep papers at hand",
        "clothes",
    ),
    _item(
        "Why does ice float on water?",
        "Ice is less dense than liquid water because its molecules form an open lattice.",
        "That is why lakes freeze from the top.",
        "Molecules form a lattice | The lattice takes more room | Less dense things float",
        "dense",
    ),
    _item(
        "How do I start a small herb garden?",
        "Begin with basil and mint in pots on a bright window sill.",
        "Water them when the soil feels dry and cut the tips often.",
        "Choose easy herbs | Give them light | Cut them often",
        "basil",
    ),
    _item(
        "What can I do against a noisy neighbour?",
        "Talk to your neighbour in a calm moment and say which noise disturbs you.",
        "If that does not help then write to the landlord.",
        "Talk calmly | Keep notes | Write to the landlord",
        "noise",
    ),
    _item(
        "How does a lighthouse help ships?",
        "A lighthouse marks rocks and harbours with a light that has its own rhythm.",
        "Sailors read the rhythm and know where they are.",
        "It marks danger | It has a rhythm | It shows the position",
        "rhythm",
    ),
    _item(
        "How do I clean a wooden table?",
        "Wipe the table with a damp cloth and dry it at once.",
        "A little oil twice a year keeps the wood from cracking.",
        "Wipe with a damp cloth | Dry it at once | Oil it twice a year",
        "cloth",
    ),
    _item(
        "Why do crickets chirp?",
        "Male crickets chirp with their wings to call females and to warn other males.",
        "They chirp faster when the night is warm.",
        "They call females | They warn other males | Warm nights make them faster",
        "wings",
    ),
    _item(
        "What should be in a first aid kit?",
        "A first aid kit should hold bandages and plasters and something to clean wounds.",
        "Check once a year that nothing has expired.",
        "Bandages | Plasters | Disinfectant",
        "bandages",
    ),
    _item(
        "How can I learn to cook?",
        "Learn three simple dishes well and cook each of them every week.",
        "New dishes are easier once your hands know the basic steps.",
        "Pick three dishes | Repeat them weekly | Then add new ones",
        "dishes",
    ),
    _item(
        "Why do birds migrate?",
        "Birds migrate because food becomes scarce where they breed when winter comes.",
        "They return in spring when insects are plentiful again.",
        "Winter brings hunger | The south has food | Spring brings insects",
        "winter",
    ),
    _item(
        "How do I write a clear e-mail?",
        "Say in the first sentence what you need and by which day.",
        "Leave out everything that the reader does not have to know.",
        "Say what you need | Give a date | Leave out the rest",
        "reader",
    ),
    _item(
        "What is the use of a budget?",
        "A budget shows where your money goes before it is gone.",
        "It lets you decide in advance what matters more.",
        "It shows where money goes | It sets limits | It helps you decide",
        "money",
    ),
    _item(
        "How do bees find flowers?",
        "Bees see colours and smell scents that lead them to flowers.",
        "A bee that finds a rich place dances to tell the others.",
        "By colour | By scent | By the dance of other bees",
        "scents",
    ),
    _item(
        "How can I stop procrastinating?",
        "Start with a part that takes five minutes and do it now.",
        "A small beginning makes the next step lighter.",
        "Pick a small part | Set a timer | Begin at once",
        "minutes",
    ),
    _item(
        "Why do we yawn?",
        "Nobody knows for sure but yawning may cool the brain and keep us awake.",
        "It is also contagious among people who know each other.",
        "It may cool the brain | It may keep us awake | It spreads in groups",
        "brain",
    ),
    _item(
        "How do I choose a ripe melon?",
        "A ripe melon is heavy for its size and smells sweet at the stem.",
        "Knock on it and listen for a deep sound.",
        "Lift it | Smell the stem | Knock on it",
        "sweet",
    ),
    _item(
        "What is a good way to greet guests?",
        "Welcome guests at the door and offer them something to drink.",
        "Then show them where they can put their things.",
        "Meet them at the door | Offer a drink | Take their coats",
        "door",
    ),
    _item(
        "Why do volcanoes erupt?",
        "Hot molten rock rises through the crust and gas drives it out.",
        "The more gas is trapped the more violent the eruption becomes.",
        "Rock melts | Gas builds up | Pressure breaks the crust",
        "gas",
    ),
    _item(
        "How can I protect my back at a desk?",
        "Set the chair so that your feet rest on the floor and your back is supported.",
        "Stand up for a minute every half hour.",
        "Adjust the chair | Raise the screen | Stand up often",
        "chair",
    ),
    _item(
        "How do I plan a day in a new town?",
        "Choose one museum and one park and leave the rest of the day open.",
        "Ask somebody who lives there where they eat lunch.",
        "Choose a museum | Choose a park | Ask where to eat",
        "park",
    ),
    _item(
        "Why should I learn a second language?",
        "A second language lets you talk with more people and see your own language anew.",
        "It also trains attention and memory.",
        "Meet more people | See your own language anew | Train your memory",
        "language",
    ),
    _item(
        "How are pencils made?",
        "A core of graphite and clay is baked and glued between two halves of wood.",
        "The wood is then cut into single pencils and painted.",
        "Bake the core | Glue it into wood | Cut and paint",
        "graphite",
    ),
    _item(
        "What helps against hiccups?",
        "Hold your breath for ten seconds or drink a glass of water in small sips.",
        "Most hiccups end on their own within minutes.",
        "Hold your breath | Drink slowly | Wait",
        "breath",
    ),
    _item(
        "How do I make friends after moving?",
        "Join a club that meets every week because friendship grows from meeting often.",
        "Invite somebody for coffee and do not wait to be invited.",
        "Join a club | Go every week | Invite somebody",
        "club",
    ),
    _item(
        "Why is the sky blue?",
        "Air scatters blue light more than red light so blue reaches us from everywhere.",
        "At sunset the light has a longer way and the red is left.",
        "Sunlight has all colours | Air scatters blue most | Blue comes from everywhere",
        "light",
    ),
)

#: Paragraphs by their subject, whose last word they contain.
PARAGRAPHS: Mapping[str, str] = {
    "rain": (
        "Rain begins when small drops in a cloud meet and grow heavy. Some of it never reaches the ground, because "
        "dry air takes it up again on the way. Where it falls, it wakes the smell of the earth and fills the ditches, "
        "and in the evening the frogs can be heard."
    ),
    "an old bridge": (
        "The old bridge was built of grey stone and is only wide enough for one cart. For two hundred years it "
        "carried everybody who went to the market. Today cars use the new road, and the bridge belongs to walkers, "
        "who stop in the middle and look at the water."
    ),
    "tea": (
        "Tea comes from the leaves of one plant, whatever its colour. Green tea is dried quickly, while the leaves of "
        "black tea are left to turn brown first. Water that is too hot makes a green tea bitter, so it is better to "
        "wait a few minutes after boiling."
    ),
    "a small library": (
        "Our town has a small library with two rooms. The front room holds newspapers and novels, and the back room "
        "belongs to the children on Wednesday afternoons. The librarian knows most readers by name and puts books "
        "aside when she thinks that someone will like them."
    ),
    "the moon": (
        "The moon always shows us the same side, because it turns once while it travels once around the earth. Its "
        "dark plains were once thought to be seas. They are old lava, older than most rocks that can be found on our "
        "own planet."
    ),
    "a night train": (
        "A night train leaves in the evening and arrives before breakfast. The beds are narrow and the wheels are "
        "loud, yet many people sleep well in it. In the morning the curtains are drawn back, and the country outside "
        "is a different one."
    ),
    "clocks": (
        "Early clocks had no hands and only struck a bell. They were made for monks who had to pray at night, and who "
        "could not look at a shadow in the dark. Hands came later, and for a long time one was enough, since clocks "
        "were wrong by a quarter of an hour a day."
    ),
    "a vegetable market": (
        "The vegetable market opens at six. By then the farmers have put up their tables and washed the carrots. "
        "Cooks come first and buy in boxes; families come after breakfast and ask how the beans should be cooked. By "
        "noon the market is over and the square is swept."
    ),
    "snow": (
        "Snow is quiet because the air between the flakes swallows sound. Fresh snow is mostly air, and ten "
        "centimetres of it melt to only one centimetre of water. Animals use it as a blanket, and a hare may sleep "
        "under it all day."
    ),
    "learning to swim": (
        "Most people learn to swim by first learning not to be afraid. The water carries a body that lies still, and "
        "whoever has felt this once will trust it. Strokes can be taught in a few weeks, but it takes a summer until "
        "it feels easy to swim."
    ),
    "maps": (
        "A map leaves out nearly everything, and that is its use. It keeps the roads for a driver and the depths for "
        "a sailor. Two maps of one place may look quite different, and both can be right, because they answer "
        "different questions. Old maps also show what people feared."
    ),
    "a garden shed": (
        "The garden shed smells of oil and dry earth. Spades hang on the wall in the order of their size, and under "
        "the window stand pots that have been waiting since spring. Nobody throws anything away there. Even a broken "
        "rake stays, since the shed has room and somebody may need a handle."
    ),
    "bread": (
        "Flour, water, salt and time are enough to make bread. The time matters most: during the night the dough "
        "rises slowly, and its taste grows. A good loaf sounds hollow when it is knocked from below. It should rest "
        "for an hour before anyone cuts the bread, which is the hardest part."
    ),
    "the harbour": (
        "In the harbour the day starts before the light. Ropes are thrown, an engine coughs, and one by one the boats "
        "pass the wall. When they come back the gulls come with them. In winter the harbour is still, and the men sit "
        "in a hut and mend their nets."
    ),
    "a good teacher": (
        "A good teacher asks more than he explains. He notices who has stopped listening, and changes the example "
        "instead of raising his voice. Years later his pupils have forgotten most of what he said. They remember that "
        "the teacher waited until they had found the answer."
    ),
    "wind": (
        "Wind is air on its way from where there is much of it to where there is less. Mountains bend it and valleys "
        "make it fast. Sailors had names for every wind, and each had its own weather. A weather vane shows where the "
        "wind comes from, not where it goes."
    ),
    "letters": (
        "People once wrote letters every day, and the post came twice. A letter took two days, so that nobody "
        "expected an answer at once, and there was time to think of a better one. Many were kept in boxes. Historians "
        "read these letters today, and they learn the price of eggs along with the news of the war."
    ),
    "an empty school": (
        "In August the school is empty. The chairs stand on the tables, and the clock in the hall ticks for nobody. A "
        "painter whistles on the second floor. In three weeks the doors will open and the noise will come back, but "
        "until then the school belongs to the dust and the light."
    ),
    "honey": (
        "A bee visits thousands of flowers for one spoon of honey. In the hive the thin juice is fanned with wings "
        "until most of its water is gone. Honey does not spoil, and jars of it have been found in very old graves. "
        "Its colour tells which flowers were in bloom."
    ),
    "football": (
        "Nothing is needed for football but a ball and two stones for a goal. That may be why it is played in every "
        "country. The rules can be explained in a minute, except for one, over which grown men still quarrel. "
        "Children play football until it is too dark to see the ball."
    ),
    "glass": (
        "Glass is made from sand that was heated until it flowed. It cools without forming crystals, so light can "
        "pass through. The first windows were small and green, and only churches had many of them. Today glass is so "
        "clear that birds do not see it."
    ),
    "a mountain path": (
        "The mountain path starts behind the last house and climbs through the trees. After an hour the trees end, "
        "and one can see the lake. Walkers have piled up stones to mark the way, since fog may come within minutes. "
        "Whoever follows this path should start early and turn back in time."
    ),
    "sleep": (
        "Nobody can say exactly why we sleep, but everyone has felt what happens without it. During the night the "
        "brain sorts what the day has brought, and much is thrown away. Small children need twice as much sleep as "
        "their parents, who would often like to change places with them."
    ),
    "repairing things": (
        "Repairing things takes longer than buying new ones, and it is rarely cheaper. Still, a chair that one has "
        "glued oneself is looked at with different eyes. One learns how it was made, and where it is weak. In many "
        "towns there are now evenings at which neighbours meet for repairing lamps and other things."
    ),
}
