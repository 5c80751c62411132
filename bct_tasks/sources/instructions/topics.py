"""What the instructions are about: activities and things of everyday life, by topic.

An activity is a gerund ("baking bread"), a thing a plural noun ("apples"). Every template of `templates`
takes every one of them.
"""

from __future__ import annotations

from collections.abc import Mapping

ACTIVITIES: Mapping[str, tuple[str, ...]] = {
    "food": (
        "baking bread", "cooking rice", "making soup", "roasting vegetables", "planning family dinners",
        "packing a lunch box", "baking cookies", "making pancakes", "cooking pasta", "preparing salads",
        "hosting a dinner", "trying new recipes",
    ),
    "travel": (
        "packing a suitcase", "planning a road trip", "travelling by train", "visiting a museum abroad",
        "finding a quiet hotel", "camping by a lake", "hiking in the hills", "exploring a new city",
        "flying with small children", "taking photos on a trip", "keeping a travel diary", "booking a ferry",
    ),
    "garden": (
        "growing tomatoes", "planting trees", "watering houseplants", "pruning roses", "making compost",
        "growing herbs indoors", "mowing the lawn", "starting a vegetable patch", "sowing seeds in spring",
        "caring for a cactus", "raking leaves", "attracting butterflies",
    ),
    "pets": (
        "walking a dog", "training a puppy", "feeding a cat", "keeping goldfish", "brushing a long-haired cat",
        "adopting an older dog", "teaching a parrot to talk", "keeping hens", "looking after a hamster",
        "cleaning an aquarium", "playing with a kitten", "taking a dog to the vet",
    ),
    "music": (
        "playing the guitar", "singing in a choir", "learning the piano", "listening to jazz", "writing songs",
        "playing the drums", "tuning a violin", "going to concerts", "collecting old records", "reading sheet music",
        "playing in a band", "recording a melody",
    ),
    "sport": (
        "jogging in the morning", "swimming laps", "playing table tennis", "riding a bicycle", "stretching after work",
        "playing football with friends", "learning to skate", "doing push-ups", "rowing on a river",
        "playing chess", "training for a long walk", "doing yoga",
    ),
    "home": (
        "tidying a bedroom", "washing windows", "painting a wall", "sorting old clothes", "doing the laundry",
        "moving to a new flat", "fixing a squeaky door", "organising a bookshelf", "cleaning a kitchen",
        "saving electricity", "arranging furniture", "ironing shirts",
    ),
    "study": (
        "learning a language", "taking notes in class", "studying for an exam", "reading long novels",
        "writing an essay", "memorising poems", "giving a short talk", "using a library", "learning to type fast",
        "keeping a diary", "doing homework on time", "working in a study group",
    ),
    "work": (
        "writing polite emails", "leading a meeting", "starting a new job", "working from home",
        "preparing for an interview", "making a weekly plan", "asking for feedback", "thanking a colleague",
        "keeping a desk tidy", "taking useful breaks", "training a new colleague", "running a small shop",
    ),
    "craft": (
        "knitting a scarf", "drawing portraits", "folding paper animals", "taking photographs of birds",
        "making candles", "building model ships", "painting with watercolours", "carving wood", "sewing a button",
        "making birthday cards", "decorating a cake", "throwing clay pots",
    ),
}  # fmt: skip

THINGS: Mapping[str, tuple[str, ...]] = {
    "food": ("apples", "olives", "cheese rolls", "lentils", "mushrooms", "honey cakes", "pancakes", "spices"),
    "travel": ("night trains", "backpacks", "city maps", "mountain huts", "ferries", "beach holidays", "youth hostels",
               "guided tours"),
    "garden": ("roses", "garden tools", "sunflowers", "earthworms", "greenhouses", "hedges", "herbs", "flower pots"),
    "pets": ("cats", "goldfish", "guide dogs", "rabbits", "parrots", "hamsters", "dog toys", "hens"),
    "music": ("violins", "folk songs", "pianos", "lullabies", "drums", "choirs", "music lessons", "headphones"),
    "sport": ("bicycles", "running shoes", "swimming pools", "team games", "tennis rackets", "sports clubs",
              "chess clubs", "morning walks"),
    "home": ("curtains", "washing machines", "wooden floors", "candles", "small kitchens", "bookshelves",
             "alarm clocks", "house keys"),
    "study": ("dictionaries", "libraries", "pencils", "study groups", "exams", "notebooks", "science books", "poems"),
    "work": ("meetings", "office plants", "coffee breaks", "to-do lists", "job interviews", "emails", "deadlines",
             "team lunches"),
    "craft": ("watercolours", "knitting needles", "wooden toys", "cameras", "beads", "paper planes", "clay pots",
              "greeting cards"),
}  # fmt: skip
