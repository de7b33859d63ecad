"""What watches over production, and must itself be watched: Prometheus, Alertmanager, Grafana and Loki."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from readygate.areas.asking_http import refuse_from_there
from readygate.areas.monitoring import alerting, delivery
from readygate.areas.monitoring import alertmanager as alertmanagers
from readygate.areas.monitoring import grafana as grafanas
from readygate.areas.monitoring import prometheus as prometheuses
from readygate.areas.monitoring.alertmanager import Alertmanager
from readygate.areas.monitoring.grafana import Grafana, Loki
from readygate.areas.monitoring.prometheus import Prometheus
from readygate.spec import Spec


class Monitoring(Spec):
    """What monitors one environment."""

    area: ClassVar[str] = "monitoring"
    noun: ClassVar[str] = "monitoring"

    on: str | None = Field(
        None, description="A setting: the server that alone may reach all of it, and that one asks from."
    )

    prometheus: Prometheus | None = Field(None, description="The Prometheus that measures.")
    alertmanager: Alertmanager | None = Field(None, description="The Alertmanager that tells people.")
    grafana: Grafana | None = Field(None, description="The Grafana that shows it.")
    loki: Loki | None = Field(None, description="The Loki that keeps the logs.")

    @model_validator(mode="after")
    def _can_be_asked(self) -> Monitoring:
        for each in (self.prometheus, self.alertmanager, self.grafana, self.loki):
            if self.on and each:
                refuse_from_there(each.url, each.headers)
        return self


SECTIONS: Mapping[str, type[Spec]] = {"monitoring": Monitoring}

FACTS: Mapping[str, Callable[..., Any]] = {
    **prometheuses.FACTS,
    **alerting.FACTS,
    **alertmanagers.FACTS,
    **delivery.FACTS,
    **grafanas.FACTS,
}
