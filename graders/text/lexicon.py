"""English or Spanish, by the words of a text: words of grammar and of everyday life, accents, endings.

    languages("El perro vive en una cueva.", {})       # {'spanish'}
    languages("La manzana es red.", {})                # {'english', 'spanish'}
    languages("Der Apfel ist rot.", {})                # {'another language'}

Words of both languages decide only where nothing else does. Not covered: names, and text in other scripts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from graders.text.spelling import QUOTED, normal, unaccented

_EN = """
the an it its it's they them their he him his she her hers you your yours we us our ours i my mine myself who
whom whose which what where when why how this that these those there here is are was were be been being am do
does did doing done have had having will would can could shall should may might must of in on at to from with
without into onto under over above below between among through about around near behind beside besides by for
and or but if because since while although though than then so very too also only just even still already yet
never always often usually sometimes not nor none nothing something anything everything someone anyone
everyone some any many much more most less least few all each every both either neither other another such
same own out up down off away back again well yes yeah ok okay sure please sorry thanks thank hello hi hey
good bad great nice right wrong true false answer question know knows think thinks guess believe suppose say
says said tell tells ask asks help mean means made make makes live lives lived eat eats eating like likes want
wants need go goes get gets give gives find see look looks use used called call word words language english
spanish one two three four five six seven eight nine ten first last let try red white green blue black yellow
orange purple pink brown grey gray golden color colour colors big small tall long short huge tiny large little
wide high low old young new size feet foot meters metres inches apple snow grass sky night blood milk leaf oil
rose salt frog lake raven gold fish bird dog cow bee bear camel monkey king mouse wolf whale hen snake queen
cat fox nest house farm hive cave desert tree castle hole woods wood forest river mountain barn bridge street
road city town country field garden home ground underground water bread cheese honey meat corn fruit carrots
flies bones vegetables vegetable insects seeds soup rice eggs egg nuts leaves plants leather steel silver
glass stone paper cotton wool clay wax plastic iron copper metal brick bricks table window ring knife shirt
shoe wall coin letter candle coat cup bottle chair sword bag book tower boy girl lion rabbit seal goat bat
horse sheep duck pig train key elephant animal animals people person man woman child children family day days
time years probably maybe perhaps mostly mainly course kind volcano trees nests cannot unsure light dark
bright soft hard heavy strong clear
"""
_ES = """
el los las una unos unas lo del al y o u e que qué quien cual donde cuando cómo como cuanto porque pues si sí
pero sino aunque mientras también tambien muy mas más menos mucho mucha muchos muchas poco poca pocos todo
toda todos todas nada nadie algo alguien alguno alguna ningun ninguna otro otra otros otras mismo misma este
esta esto estos estas ese esa eso esos esas aquel aquella aqui aquí ahi alli allí es soy eres somos son está
estan están estoy estar ser era eran fue sido hay había tiene tienen tengo tener hace hacen hecho hecha hacer
puede pueden puedo poder debe quiero quiere quieres querer sé se sabe sabes saber creo cree creer pienso
parece dice dicen decir digo dime dile diga di dar voy va vamos ir vive viven vivir vivo comen comer suele
suelen dormir beben su sus mi mis tu tus nuestro nosotros ellos ellas ella él yo tú usted le les te nos de en
con para por sin sobre bajo entre hacia hasta desde según segun contra durante ante tras dentro fuera cerca
lejos encima debajo siempre nunca jamás veces bien mal mejor peor gracias hola perdón perdon claro vale bueno
buena buenos buenas pregunta respuesta ayudar ayudarte responder contestar idea lamento siento verdad cierto
falso color tamaño rojo roja rojos blanco blanca verde verdes azul azules negro negra amarillo amarilla
naranja morado morada violeta rosado rosada marrón marron gris dorado dorada grande grandes pequeño pequeña
pequeñito menudo menuda alto alta baja largo larga corto corta enorme enormes chico chica ancho gordo manzana
nieve hierba cielo noche sangre leche hoja mar aceite rosa sal rana lago cuervo oro pez pescado pájaro pajaro
perro vaca abeja oso camello mono rey ratón raton lobo ballena gallina serpiente reina gato zorro nido casa
granja colmena cueva desierto árbol arbol árboles castillo agujero bosque río rio montaña campo ciudad pueblo
calle jardín tierra agua queso miel carne grano fruta frutas zanahorias moscas huesos heno insectos semillas
verduras sopa arroz huevos piedra piedras madera vidrio cristal acero tela cuero plata papel cera lana barro
plástico plastico hierro cobre metal ladrillo hormigón hormigon mesa ventana anillo cuchillo camisa zapato
pared moneda carta vela abrigo taza botella silla espada bolso libro torre niño niña león conejo foca cabra
murciélago caballo oveja pato cerdo tren llave elefante animales gente persona hombre mujer familia día dias
días tiempo años metros uno dos tres cuatro cinco seis siete ocho nueve diez quizás quizas tal vez normalmente
supongo depende ni bebe duerme pan sol luna playa isla selva mundo volcán volcan nombre palabra idioma español
inglés
"""
_THIRD = """
le les des du une est dans et il elle ils vit mange je ne pas avec sur très tres rouge blanc vert bleu noir
jaune grand maison mer pomme chien chat pain fromage eau bois petit petite sont nous vous qui où c'est fait
lait gros der das ein eine einen einem einer ist sind und nicht im dem den ich er sie wir ihr es aus auf mit
für von zu zum rot weiß weiss grün blau schwarz gelb groß gross klein lang haus wald baum apfel hund katze
brot käse holz wohnt lebt frisst isst sehr auch kein keine lo gli della delle dei di è sono nel nella nello
nei ho hanno vive mangia rosso rossa bianco bianca nero giallo gialla grande casa mela cane gatto pane
formaggio acqua legno piccolo piccola molto che non fatto o os um uma uns umas do da dos no na nos nas em é
são não vermelho vermelha branco preto amarelo maçã cachorro gato pão queijo madeira feito feita muito ele ela
eles mora quando também tambem costuma chuva num numa pelo pela isso esse seu sua cor vermelhas floresta
gramado dela dele quelle quand comme parce cette cet ces leur leurs aussi vivent mangent couleur boit fromages
sie wenn aber weil oder wie was wo man wird werden viel sehr leben essen farbe gern perché perche anche quando più
vivono mangiano colore suo loro questo questa sono fatta fatti
deserto camelo cammello peixe pesce poisson passaro uccello oiseau ninho nido nid urso orso ours mel miele caverna
grotta grotte castelo castello chateau macaco scimmia singe arvore albero arbre abelha ape abeille baleia balena baleine
floresta bosco foret queijo vidro vetro verre couro cuoio cuir prata argento ouro aco acciaio acier neve neige grama
erba herbe ceu ciel noite notte nuit folha foglia feuille leite latte sangue sang sel sale rei roi rainha regina reine
toca buco trou lobo lupo loup raposa volpe renard vache mucca poule carne viande
"""
_BOTH = """
a no me as son come he has once hay pie sin tan van ten dime color real normal final hotel idea animal un la
am on in metal actor data e u i o or die mar rosa oro sol volcano metro general total plural natural central
solo similar fin sal y so os
"""
_SHARED = frozenset(_BOTH.split())


def _plain(words: str) -> frozenset[str]:
    return frozenset(unaccented(words).split())


_MEANT = {
    "english": _plain(_EN) - _SHARED,
    "spanish": (_plain(_ES) - _SHARED) | {"la", "un", "oro", "mar", "rosa", "sol", "sal", "son", "sin"},
}
_STRANGE = _plain(_THIRD) - _MEANT["spanish"] - _MEANT["english"] - _SHARED
_ALSO_ROMANCE = """
la un es de en o e se que casa vive grande gato di le les lo te tu su si una y como son va papel mar animales
por para con
"""
_ROMANCE = frozenset(_ALSO_ROMANCE.split())
_FOREIGN_LETTER = re.compile(r"[çàèìòùâêîôûäößãõœ]|ü(?![ei])")
_SPANISH_MARK = re.compile(r"[¿¡ñÑ]")
_SPANISH_END = re.compile(
    r"\w{3,}(?:cion|ciones|dad|dades|mente|ando|iendo|ito|ita|itos|itas|oso|osa|ado|ada|ados|adas|aba|aban)$"
)
_ENGLISH_END = re.compile(
    r"\w{2,}(?:ing|ed|ly|tion|ness|ful|less|ght|th|ck|sh|wn|ow|ee|oo\w)$|\w*(?:wh|kn|sh|th|ck|w)\w+"
)

_AROUND_ENGLISH = (
    "the a an it they he she its their his her is are in on of lives live eats eat made yes well course"
    " sure answer i think"
)
_AROUND_SPANISH = (
    "el la los las un una ella ellos su es son esta en de vive viven come comen hecho hecha si claro creo que"
)

#: Words around an answer that are no content of their own.
STARTERS: Mapping[str, frozenset[str]] = {
    "english": frozenset(_AROUND_ENGLISH.split()),
    "spanish": frozenset(_AROUND_SPANISH.split()),
}


def languages(text: str, sentences: Mapping[str, str]) -> frozenset[str]:
    """Return the languages of a text: `english`, `spanish`, `another language`; quoted words do not count.

    Args:
        text: Any text; look-alike letters and forms of Unicode do not matter.
        sentences: A sentence in either language, by language, whose words decide for words of both.
    """
    unquoted = QUOTED.sub(" ", text)
    if re.search(r"[^\W\d_]", unquoted):
        text = unquoted
    words = re.findall(r"[^\W\d_]+", normal(text))
    told = {name: frozenset(re.findall(r"[^\W\d_]+", normal(sentence))) for name, sentence in sentences.items()}
    counts = {name: sum(word in known for word in words) for name, known in _MEANT.items()}
    strange = sum(word in _STRANGE for word in words) + 2 * len(_FOREIGN_LETTER.findall(text.casefold()))
    pure = sum(word in _MEANT["spanish"] and word not in _ROMANCE for word in words)
    if strange and strange >= counts["english"] and strange >= pure:
        return frozenset({"another language"})
    seen = frozenset(name for name, count in counts.items() if count)
    if not seen:
        seen = _weakly(text, words, told)
    return seen


def _weakly(text: str, words: list[str], told: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The language of a text without a known word: by the words of the facts, marks and endings."""
    only = {
        name: sum(w in known and not any(w in other for n, other in told.items() if n != name) for w in words)
        for name, known in told.items()
    }
    only["spanish"] = (
        only.get("spanish", 0) + len(_SPANISH_MARK.findall(text)) + len(re.findall("[áéíóú]", text.casefold()))
    )
    if not any(only.values()):
        only = {
            "spanish": sum(bool(_SPANISH_END.fullmatch(w)) for w in words),
            "english": sum(bool(_ENGLISH_END.fullmatch(w)) for w in words),
        }
    best = max(only.values())
    return frozenset(name for name, count in only.items() if best and count == best)
