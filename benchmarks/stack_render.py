"""placeholder"""


def render(r):
    return ""
