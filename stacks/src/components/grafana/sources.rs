//! Grafana's data sources, as provisioning files. They refer to each other by uid, so that one click leads from a graph
//! to the trace behind it, from there to its logs, and back.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::kit::parts::{self, ports};
use crate::kit::{Build, CA_FILE, CERT_FILE, KEY_FILE, Part};

/// Metrics.
pub(crate) const PROMETHEUS: &str = "plinth-prometheus";
/// Logs.
pub(crate) const LOKI: &str = "plinth-loki";
/// Traces.
pub(crate) const TEMPO: &str = "plinth-tempo";
/// Alerts.
pub(crate) const ALERTMANAGER: &str = "plinth-alertmanager";

/// The file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataSources {
    api_version: u32,
    prune: bool,
    datasources: Vec<DataSource>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataSource {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    uid: &'static str,
    url: String,
    access: &'static str,
    is_default: bool,
    editable: bool,
    json_data: Json,
    secure_json_data: Certificates,
}

/// The certificate that Grafana shows, read from files when data sources are provisioned.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Certificates {
    #[serde(rename = "tlsCACert")]
    authority: String,
    tls_client_cert: String,
    tls_client_key: String,
}

impl Default for Certificates {
    fn default() -> Self {
        let file = |path: &str| format!("$__file{{{path}}}");
        Self { authority: file(CA_FILE), tls_client_cert: file(CERT_FILE), tls_client_key: file(KEY_FILE) }
    }
}

fn source(
    b: &Build<'_>,
    (name, kind, uid): (&'static str, &'static str, &'static str),
    (part, port): (Part, i32),
    settings: Json,
) -> DataSource {
    let host = b.host(part);
    let mut json_data = json!({ "tlsAuth": true, "tlsAuthWithCACert": true, "serverName": host });
    if let (Some(target), Some(more)) = (json_data.as_object_mut(), settings.as_object()) {
        target.extend(more.clone());
    }
    DataSource {
        name,
        kind,
        uid,
        url: format!("https://{host}:{port}"),
        access: "proxy",
        is_default: uid == PROMETHEUS,
        editable: false,
        json_data,
        secure_json_data: Certificates::default(),
    }
}

/// Whom the data source for metrics asks.
pub(super) fn metrics_part(b: &Build<'_>) -> (Part, i32) {
    if b.platform.thanos.enabled {
        (parts::THANOS_QUERY_FRONTEND, ports::THANOS_HTTP)
    } else {
        (parts::PROMETHEUS, ports::PROMETHEUS)
    }
}

/// All data sources.
pub(super) fn sources(b: &Build<'_>) -> DataSources {
    let platform = b.platform;
    let mut datasources = vec![metrics(b)];
    if platform.loki.enabled {
        datasources.push(logs(b));
    }
    if platform.tempo.enabled {
        datasources.push(traces(b));
    }
    datasources.push(source(
        b,
        ("Alertmanager", "alertmanager", ALERTMANAGER),
        (parts::ALERTMANAGER, ports::ALERTMANAGER),
        json!({ "implementation": "prometheus", "handleGrafanaManagedAlerts": false }),
    ));
    DataSources { api_version: 1, prune: true, datasources }
}

fn metrics(b: &Build<'_>) -> DataSource {
    let mut settings = json!({
        "httpMethod": "POST",
        "prometheusType": if b.platform.thanos.enabled { "Thanos" } else { "Prometheus" },
        "timeInterval": b.platform.prometheus.scrape_interval.to_string(),
        "manageAlerts": true,
        "incrementalQuerying": true,
    });
    if b.platform.tempo.enabled {
        settings["exemplarTraceIdDestinations"] = json!([{ "name": "trace_id", "datasourceUid": TEMPO }, { "name": "traceID", "datasourceUid": TEMPO }]);
    }
    source(b, ("Prometheus", "prometheus", PROMETHEUS), metrics_part(b), settings)
}

fn logs(b: &Build<'_>) -> DataSource {
    let mut settings = json!({ "maxLines": 1000, "manageAlerts": true });
    if b.platform.tempo.enabled {
        // A dollar sign is doubled, or Grafana would look for an environment variable.
        settings["derivedFields"] = json!([
            {
                "name": "trace_id",
                "matcherType": "label",
                "matcherRegex": "trace_id",
                "datasourceUid": TEMPO,
                "url": "$${__value.raw}",
                "urlDisplayLabel": "Trace",
            },
            {
                "name": "TraceID",
                "matcherType": "regex",
                "matcherRegex": "(?:trace_?[iI][dD])[=:\" ]+([0-9a-f]{32})",
                "datasourceUid": TEMPO,
                "url": "$${__value.raw}",
                "urlDisplayLabel": "Trace",
            },
        ]);
    }
    source(b, ("Loki", "loki", LOKI), (parts::LOKI_GATEWAY, ports::LOKI_GATEWAY), settings)
}

fn traces(b: &Build<'_>) -> DataSource {
    let mut settings = json!({
        "nodeGraph": { "enabled": true },
        "search": { "hide": false },
        "serviceMap": { "datasourceUid": PROMETHEUS },
        "tracesToMetrics": {
            "datasourceUid": PROMETHEUS,
            "spanStartTimeShift": "-5m",
            "spanEndTimeShift": "5m",
            "tags": [{ "key": "service.name", "value": "service" }],
            "queries": [
                { "name": "Rate", "query": "sum(rate(traces_spanmetrics_calls_total{$$__tags}[5m]))" },
                {
                    "name": "Errors",
                    "query": "sum(rate(traces_spanmetrics_calls_total{$$__tags, status_code=\"STATUS_CODE_ERROR\"}[5m]))",
                },
                {
                    "name": "Duration, 95 %",
                    "query": "histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{$$__tags}[5m])))",
                },
            ],
        },
    });
    if b.platform.loki.enabled {
        settings["tracesToLogsV2"] = json!({
            "datasourceUid": LOKI,
            "spanStartTimeShift": "-5m",
            "spanEndTimeShift": "5m",
            "filterByTraceID": true,
            "filterBySpanID": false,
            "tags": [
                { "key": "service.name", "value": "service_name" },
                { "key": "k8s.namespace.name", "value": "k8s_namespace_name" },
            ],
        });
    }
    let part = (parts::TEMPO_QUERY_FRONTEND, ports::TEMPO_HTTP);
    source(b, ("Tempo", "tempo", TEMPO), part, settings)
}
