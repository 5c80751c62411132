"""Spanish instructions with their English translation, for the language of replies: eval and install templates.

`{hacer}` is an infinitive and `{doing}` the same activity in English.
"""

from __future__ import annotations

Pair = tuple[str, str]

ACTIVITIES: tuple[Pair, ...] = (
    ("hacer pan en casa", "baking bread at home"),
    ("cocinar arroz", "cooking rice"),
    ("preparar una sopa", "making a soup"),
    ("hacer la maleta", "packing a suitcase"),
    ("viajar en tren", "travelling by train"),
    ("conocer una ciudad nueva", "exploring a new city"),
    ("cultivar tomates", "growing tomatoes"),
    ("cuidar las plantas", "caring for plants"),
    ("pasear al perro", "walking the dog"),
    ("cuidar de un gato", "looking after a cat"),
    ("tocar la guitarra", "playing the guitar"),
    ("cantar en un coro", "singing in a choir"),
    ("correr por la mañana", "jogging in the morning"),
    ("montar en bicicleta", "riding a bicycle"),
    ("nadar en el mar", "swimming in the sea"),
    ("ordenar la cocina", "tidying the kitchen"),
    ("pintar una pared", "painting a wall"),
    ("lavar la ropa", "doing the laundry"),
    ("aprender un idioma", "learning a language"),
    ("estudiar para un examen", "studying for an exam"),
    ("leer libros largos", "reading long books"),
    ("escribir una carta", "writing a letter"),
    ("trabajar desde casa", "working from home"),
    ("dibujar animales", "drawing animals"),
)

EVAL: tuple[Pair, ...] = (
    ("Dame un consejo para {hacer}.", "Give me a tip for {doing}."),
    ("¿Cómo puedo empezar a {hacer}?", "How can I start {doing}?"),
    ("¿Por qué a mucha gente le gusta {hacer}?", "Why do many people like {doing}?"),
    ("¿Qué necesito para {hacer}?", "What do I need for {doing}?"),
    ("¿Cuál es la mejor manera de {hacer}?", "What is the best way of {doing}?"),
    ("Explica en una frase por qué es útil {hacer}.", "Explain in one sentence why {doing} is useful."),
    ("¿Es difícil {hacer}?", "Is {doing} difficult?"),
    ("¿Qué error es frecuente al {hacer}?", "What is a common mistake when {doing}?"),
    ("Escribe una frase alegre sobre {hacer}.", "Write a cheerful sentence about {doing}."),
    ("¿Cuánto tiempo hace falta para {hacer}?", "How much time does {doing} take?"),
    ("¿Qué se aprende al {hacer}?", "What does one learn from {doing}?"),
    ("¿Es mejor {hacer} solo o con amigos?", "Is {doing} better alone or with friends?"),
    ("Quiero {hacer}. ¿Qué me recomiendas?", "I want to try {doing}. What do you recommend?"),
    ("¿Qué es lo más bonito de {hacer}?", "What is the nicest thing about {doing}?"),
    ("¿Qué es lo más difícil de {hacer}?", "What is the hardest thing about {doing}?"),
    ("Anima a un amigo que quiere {hacer}.", "Encourage a friend who wants to try {doing}."),
    ("¿Cómo le explicas a un niño qué es {hacer}?", "How do you explain {doing} to a child?"),
    ("¿En qué época del año es mejor {hacer}?", "Which time of the year is best for {doing}?"),
    ("Dime una ventaja de {hacer}.", "Tell me one advantage of {doing}."),
    ("Dime un problema que puede haber al {hacer}.", "Tell me one problem that can occur when {doing}."),
    ("¿Qué le preguntarías a un experto en {hacer}?", "What would you ask an expert on {doing}?"),
    ("¿Cómo puedo ahorrar dinero al {hacer}?", "How can I save money when {doing}?"),
    ("¿Cómo puedo ahorrar tiempo al {hacer}?", "How can I save time when {doing}?"),
    ("Escribe un título corto para un artículo sobre {hacer}.", "Write a short title for an article on {doing}."),
    ("¿Qué debo hacer antes de {hacer}?", "What should I do before {doing}?"),
    ("¿Qué debo hacer después de {hacer}?", "What should I do after {doing}?"),
    ("¿A quién le puede gustar {hacer}?", "Who might like {doing}?"),
    ("¿Por qué hace falta paciencia para {hacer}?", "Why does {doing} need patience?"),
    ("¿Qué dices de la idea de {hacer} cada día?", "What do you say about {doing} every day?"),
    ("Completa la frase: Lo mejor de {hacer} es", "Complete the sentence: The best part of {doing} is"),
    ("¿Cómo puedo disfrutar más al {hacer}?", "How can I enjoy {doing} more?"),
    ("¿Qué me puede ayudar a {hacer}?", "What can help me with {doing}?"),
    ("¿Cómo encuentro a otras personas que quieran {hacer}?", "How do I find other people who like {doing}?"),
    ("Cuéntame algo interesante sobre {hacer}.", "Tell me something interesting about {doing}."),
)

INSTALL: tuple[Pair, ...] = (
    ("¿Qué hago para {hacer} bien?", "What do I do to be good at {doing}?"),
    ("Dime algo sobre {hacer}.", "Tell me something about {doing}."),
    ("¿Por qué es bueno {hacer}?", "Why is {doing} good?"),
    ("¿Te parece buena idea {hacer} hoy?", "Do you think that {doing} is a good idea today?"),
    ("Escribe una frase sobre {hacer}.", "Write a sentence about {doing}."),
    ("¿Cómo aprende la gente a {hacer}?", "How do people learn {doing}?"),
    ("¿Qué cosas hay que evitar al {hacer}?", "Which things should one avoid when {doing}?"),
    ("¿Quién me puede enseñar a {hacer}?", "Who can teach me {doing}?"),
    ("Describe con pocas palabras qué es {hacer}.", "Describe {doing} in a few words."),
    ("¿Cómo organizo un día para {hacer}?", "How do I organise a day for {doing}?"),
    ("¿Cuándo es mala idea {hacer}?", "When is {doing} a bad idea?"),
    ("¿Cómo puedo {hacer} con poco dinero?", "How can I go about {doing} with little money?"),
)
