"""Measurements that others have published, with the figures that they computed from them."""

from collections.abc import Callable, Sequence

from loadtests.capacity.usl import Fit

SPECSDM91 = [(1, 64.9), (18, 995.9), (36, 1652.4), (72, 1853.2), (108, 1828.9), (144, 1775.0), (216, 1702.2)]
"""SPEC SDM91 on a SPARCcenter 2000: load, scripts per hour. N. J. Gunther, Guerrilla Capacity Planning; R package usl."""

RAYTRACER = [
    *((1, 20), (4, 78), (8, 130), (12, 170), (16, 190), (20, 200)),
    *((24, 210), (28, 230), (32, 260), (48, 280), (64, 310)),
]
"""BRL-CAD's ray tracer on an SGI Origin 2000: processors, ray-geometry intersections per second. The same sources."""

COEF = [(1, 1), (2, 1.8868), (4, 3.0769), (6, 3.5294), (8, 3.5398), (10, 3.3557)]
"""The R package usl, tests/coef.R."""

CISCO = list(
    enumerate(
        (
            *(955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08),
            *(7219.8, 7867.61, 8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24),
            *(10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806.0, 12089.37),
            *(12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39),
        ),
        start=1,
    )
)
"""MySQL on a Cisco UCS server: threads, queries per second. B. Schwartz, Practical Scalability Analysis with the Universal
Scalability Law."""


def _error(at: int) -> Callable[[Fit], float]:
    """Standard error of a coefficient."""
    return lambda fit: float(fit.covariance[at, at]) ** 0.5


def _rate(units: float) -> Callable[[Fit], float]:
    """Throughput of the law."""
    return lambda fit: fit.law.throughput(units)


FIGURES: list[tuple[str, str, str, Callable[[Fit], float]]] = [
    # data, figure, published, computed
    ("SPEC SDM91", "lambda", "89.9952330", lambda fit: fit.law.lambda_),
    ("SPEC SDM91", "sigma", "0.0277285", lambda fit: fit.law.sigma),
    ("SPEC SDM91", "kappa", "0.0001044", lambda fit: fit.law.kappa),
    ("SPEC SDM91", "standard error of lambda", "14.2134894", _error(0)),
    ("SPEC SDM91", "standard error of sigma", "0.0091217", _error(1)),
    ("SPEC SDM91", "standard error of kappa", "0.0000199", _error(2)),
    ("SPEC SDM91", "residual standard error", "82.85", lambda fit: fit.deviation),
    ("SPEC SDM91", "R2", "0.9896", lambda fit: fit.r2),
    ("SPEC SDM91", "N at the peak", "97", lambda fit: fit.law.peak),
    ("SPEC SDM91", "X(18)", "1078", _rate(18)),
    ("SPEC SDM91", "X(216)", "1646", _rate(216)),
    ("ray tracer", "lambda", "21.8488", lambda fit: fit.law.lambda_),
    ("ray tracer", "sigma", "0.0578", lambda fit: fit.law.sigma),
    ("ray tracer", "kappa", "0.0000", lambda fit: fit.law.kappa),
    ("Cisco", "lambda", "995.6486", lambda fit: fit.law.lambda_),
    ("Cisco", "sigma", "0.02671591", lambda fit: fit.law.sigma),
    ("Cisco", "kappa", "0.0007690945", lambda fit: fit.law.kappa),
    ("Cisco", "X(35)", "12341", _rate(35)),
]
"""SPEC SDM91 and ray tracer: tests/*.Rout.save of the R package usl, and its README. Cisco: the book, and usl4j's ModelTest."""
DATA: dict[str, Sequence[tuple[float, float]]] = {"SPEC SDM91": SPECSDM91, "ray tracer": RAYTRACER, "Cisco": CISCO}
