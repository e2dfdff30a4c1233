"""Can Prometheus see what it is told to watch?"""

from components.monitoring.rules.rule import Alert, Recording, Rules


def scraping_rules() -> Rules:
    """Return the share of reachable targets per job, and the alert for jobs that do not page by themselves."""
    return (
        Recording("job:up:ratio", "avg by (job) (up)"),
        Alert(
            name="PrometheusTargetMissing",
            expr='up{job!~"qdrant-cluster|kong"} == 0',
            wait="2m",
            summary="Prometheus cannot scrape a target",
            description="{{ $labels.instance }} of {{ $labels.job }} has failed every scrape for two minutes"
            " (up is {{ $value }}).",
        ),
    )
