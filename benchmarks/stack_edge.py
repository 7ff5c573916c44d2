"""placeholder"""


def edge_requests():
    return {}
