"""What a stack may choose about its monitoring."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from platforms.settings import FrozenSettings, PortNumber
from policies.invariants import RECEIVERS

HttpUrl = Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")]
MailAddress = Annotated[str, Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$")]
# Fields that are credentials, or URLs that may be.
CREDENTIALS = (
    *("alert_webhook", "alert_watchdog_url", "alert_slack_url"),
    *("alert_pagerduty_key", "alert_mail_password"),
)


class ObservabilitySettings(FrozenSettings):
    """Pace, retention, and where alerts and traces go; defaults stand in Pulumi.yaml."""

    scrape_seconds: int = Field(ge=1, le=60)
    retention_days: int = Field(ge=1)
    storage_gib: int = Field(ge=1)
    prometheus_url: str = Field(pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of one of yours; empty: our own")
    grafana: bool
    prometheus_port: PortNumber
    grafana_port: PortNumber
    alert_webhook: HttpUrl
    alert_slack_url: HttpUrl = Field(description="of an incoming webhook")
    alert_pagerduty_key: str = Field(pattern=r"^\S*$", description="routing key of an integration, Events API v2")
    alert_mail_to: tuple[MailAddress, ...]
    alert_mail_from: MailAddress | Annotated[str, Field(max_length=0)]
    alert_mail_server: str = Field(pattern=r"^$|^[A-Za-z0-9.-]+:\d{1,5}$")
    alert_mail_user: str
    alert_mail_password: str
    alert_watchdog_url: HttpUrl = Field(description="of a dead man's switch")
    alertmanager_port: PortNumber
    traces_url: str = Field(
        pattern=r"^(https?://[^\s@]+[^\s@/])?$", description="of an OTLP collector, without /v1/traces"
    )

    @property
    def sends_alerts(self) -> bool:
        """Whether there is a receiver of alerts, and so an Alertmanager."""
        return any(getattr(self, name) for name in RECEIVERS)

    @model_validator(mode="after")
    def alerts_go_where_rules_are_judged(self) -> Self:
        if self.prometheus_url and self.sends_alerts:
            raise ValueError(
                "expected no receiver of alerts (observabilityAlert…) beside observabilityPrometheusUrl, found both: "
                "that Prometheus sends alerts to its own Alertmanager; set one of them"
            )
        if self.alert_watchdog_url and not self.sends_alerts:
            raise ValueError(
                "expected a receiver of alerts, such as observabilityAlertWebhook, beside "
                "observabilityAlertWatchdogUrl, found none: without it no Alertmanager runs; set it too"
            )
        return self

    @model_validator(mode="after")
    def mail_is_whole(self) -> Self:
        needed = {"To": self.alert_mail_to, "From": self.alert_mail_from, "Server": self.alert_mail_server}
        missing = [f"observabilityAlertMail{name}" for name, value in needed.items() if not value]
        if 0 < len(missing) < len(needed):
            raise ValueError(
                "expected observabilityAlertMailTo, ...From and ...Server together, or none of them; found no "
                + ", ".join(missing)
            )
        signs_in = {bool(self.alert_mail_user), bool(self.alert_mail_password)}
        if len(signs_in) == 2 or (self.alert_mail_user and not self.alert_mail_to):
            raise ValueError(
                "expected observabilityAlertMailUser and observabilityAlertMailPassword together, beside "
                "observabilityAlertMailTo, or neither; found one without the other"
            )
        return self
