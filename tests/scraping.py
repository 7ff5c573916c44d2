"""Reads what `/metrics` answers, as Prometheus does."""

from prometheus_client.parser import text_string_to_metric_families

Scraped = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


def scraped(text: bytes) -> Scraped:
    """Every sample by its name and labels, as Prometheus's own parser reads it; none may come twice."""
    found: Scraped = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


def of(found: Scraped, metric: str, **labels: str) -> float:
    """One sample."""
    return found[metric, frozenset(labels.items())]
