"""Turn the events of a client into OpenTelemetry spans and metrics.

    python examples/opentelemetry_events.py

It needs `pip install opentelemetry-sdk`. It runs against a sandbox in this process and keeps the
spans and metrics in memory. A service passes its own tracer and meter to `Telemetry`.
"""

import asyncio
import time
from urllib.parse import urlsplit

from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from mlmsg import AttemptEvent, Client, RetryPolicy
from mlmsg.sandbox import Fault, Sandbox

BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
"""Bounds of the histogram. The default ones of OpenTelemetry are meant for milliseconds."""


class Telemetry:
    """An `on_event` function that follows OpenTelemetry's conventions for HTTP clients.

    `url.full` is omitted because it would contain ids and queries; the template contains none.
    """

    def __init__(self, tracer: Tracer, meter: Meter, base_url: str) -> None:
        url = urlsplit(base_url)
        self._address, self._port = url.hostname or "", url.port or 443
        self._tracer = tracer
        self._duration = meter.create_histogram(
            "http.client.request.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS_SECONDS
        )
        self._sent = meter.create_counter("mlmsg.bytes.sent", "By")
        self._received = meter.create_counter("mlmsg.bytes.received", "By")
        self._retries = meter.create_counter("mlmsg.retries", "{retry}")

    def __call__(self, event: AttemptEvent) -> None:
        """Record one attempt after its end, in the context of the call."""
        # Each combination of values becomes a series, so attributes with many values are not used.
        common: dict[str, str | int] = {
            "http.request.method": event.method,
            "url.template": event.template,
            "server.address": self._address,
            "server.port": self._port,
        }
        if event.status is not None:
            common["http.response.status_code"] = event.status
        if event.error is not None:
            common["error.type"] = event.error
        self._record_span(event, common)
        self._duration.record(event.elapsed, common)
        self._sent.add(event.sent, common)
        self._received.add(event.received, common)
        if event.verdict == "retry":
            self._retries.add(1, common)

    def _record_span(self, event: AttemptEvent, common: dict[str, str | int]) -> None:
        end = time.time_ns()
        start = end - round(event.elapsed * 1e9)
        name = f"{event.method} {event.template}"
        # The context is None: the parent is the current span of the call.
        span = self._tracer.start_span(name, None, SpanKind.CLIENT, common, start_time=start)
        span.set_attribute("mlmsg.operation", event.operation)
        span.set_attribute("mlmsg.verdict", event.verdict)
        span.set_attribute("http.request.body.size", event.sent)
        span.set_attribute("http.response.body.size", event.received)
        if event.attempt > 1:
            span.set_attribute("http.request.resend_count", event.attempt - 1)
        if event.request_id:
            span.set_attribute("http.response.header.x-request-id", [event.request_id])
        if event.error is not None:
            span.set_status(StatusCode.ERROR)
        span.end(end)


def show(spans: InMemorySpanExporter, reader: InMemoryMetricReader) -> None:
    """Print the spans in the order of their start, then each metric."""
    keys = ("http.response.status_code", "error.type", "mlmsg.verdict")
    for span in sorted(spans.get_finished_spans(), key=lambda span: span.start_time or 0):
        values = [(span.attributes or {}).get(key, "") for key in keys]
        print(" -" if span.parent else "", span.name, *values)
    data = reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        points = metric.data.data_points
        sums = [
            point.value if isinstance(point, NumberDataPoint) else point.sum for point in points
        ]
        print(f"{metric.name}: {sum(sums):.6g} {metric.unit} in {len(sums)} series")


async def main() -> None:
    """Answer a buyer, with a server that fails once."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    tracer, meter = tracers.get_tracer("mlmsg"), meters.get_meter("mlmsg")
    async with Sandbox() as sandbox:
        telemetry, retry = Telemetry(tracer, meter, sandbox.url), RetryPolicy(base=0.01)
        client = Client(sandbox.token, base_url=sandbox.url, retry=retry, on_event=telemetry)
        async with client:
            sandbox.inject(Fault(status=503))
            with tracer.start_as_current_span("answer a buyer"):
                pack_id = next(iter(sandbox.market.packs))
                await client.packs.page(pack_id)
                await client.packs.send(pack_id, "Tu guía", files=[b"%PDF-1.4"], site_id="MLM")
    show(spans, reader)
    tracers.shutdown()
    meters.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
