"""Reads an exposition from standard input with the strict parsers of Prometheus's client for Python; prints what they found as JSON."""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

parse = {"openmetrics": parse_openmetrics, "text": parse_text}[sys.argv[1]]
# Not standard input as text, which would change line ends.
exposition = sys.stdin.buffer.read().decode("utf-8")
try:
    families = [
        {
            "name": family.name,
            "type": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [
                {
                    "name": sample.name,
                    "labels": sample.labels,
                    "value": str(sample.value),
                    "exemplar": sample.exemplar and {"labels": sample.exemplar.labels, "value": sample.exemplar.value},
                }
                for sample in family.samples
            ],
        }
        for family in parse(exposition)
    ]
except Exception as error:
    sys.exit(f"{type(error).__name__}: {str(error)[:1000]}")
json.dump(families, sys.stdout)
