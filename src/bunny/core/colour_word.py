"""The colour words that captions use: those of films and those the toy base was trained on.

Both must mean the same colours, or a prompt made from a film would ask for something else.
"""

# One typical sRGB colour for each of the eleven terms, as softly lit surfaces show it.
COLOUR_RGB = {
    "red": (200, 60, 50),
    "orange": (235, 140, 50),
    "yellow": (245, 215, 110),
    "green": (90, 160, 80),
    "blue": (80, 140, 220),
    "purple": (120, 80, 160),
    "pink": (240, 170, 180),
    "brown": (130, 90, 60),
    "grey": (140, 140, 145),
    "white": (240, 242, 245),
    "black": (35, 35, 55),
}
