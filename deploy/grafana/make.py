"""Make the board for Grafana from the metrics' own table: `make boards` writes vtspolicy.json."""

from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from prometheus_client.metrics import MetricWrapperBase

from vtspolicy.metrics import Metrics

BOARD = Path(__file__).with_name("vtspolicy.json")
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")


def metrics() -> Iterator[MetricWrapperBase]:
    """Every metric of the table, in its order, except those that only name a version or hash."""
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase) and not metric._name.endswith("_info"):  # noqa: SLF001
            yield metric


def queries(metric: MetricWrapperBase) -> dict[str, str]:
    """What is asked about a metric, by the legend of the answer."""
    name, labels = metric._name, metric._labelnames  # noqa: SLF001 - it has no other way to be read
    by = ", ".join(labels)
    legend = " ".join(f"{{{{{label}}}}}" for label in labels)
    match metric._type:  # noqa: SLF001
        case "counter":
            return {legend: f"sum by ({by}) (increase({name}_total[$__rate_interval]))"}
        case "histogram":
            grouped = ", ".join(("le", *labels))
            rates = f"sum by ({grouped}) (rate({name}_bucket[$__rate_interval]))"
            return {
                f"{share} {legend}".strip(): f"histogram_quantile({part}, {rates})"
                for share, part in (("median", "0.5"), ("99 %", "0.99"))
            }
        case _ if name.endswith("expiry_timestamp_seconds"):
            return {legend: f"{name} - time()"}
        case _ if name.endswith("_timestamp_seconds"):
            return {legend: f"time() - {name}"}
        case _:
            return {legend: name}


def unit(name: str) -> str:
    """Grafana's name for the unit of a metric."""
    if name.endswith("_seconds"):
        return "s"
    return "bytes" if "bytes" in name else "short"


def board() -> str:
    """The board as Grafana imports it."""
    made = (
        dashboard.Dashboard("VTSPolicy")
        .uid("vtspolicy")
        .tags(["vtspolicy"])
        .time("now-24h", "now")
        .refresh("1m")
        .readonly()
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
    )
    for metric in metrics():
        name = metric._name  # noqa: SLF001
        title = name.removeprefix("vtspolicy_").replace("_", " ").capitalize()
        panel = timeseries.Panel().title(title).description(metric._documentation)  # noqa: SLF001
        panel = panel.datasource(SOURCE).unit(unit(name)).height(7).span(8)
        for legend, query in queries(metric).items():
            panel = panel.with_target(prometheus.Dataquery().expr(query).legend_format(legend))
        made = made.with_panel(panel)
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


if __name__ == "__main__":
    BOARD.write_text(board(), "utf-8")
