"""Grafana's dashboards of a run, written by `python -m dashboards` into `dashboards/json/`."""
