//! Grafana's dashboards as types: what panels show, and where they stand. Only what the platform's dashboards use.

use serde::Serialize;
use serde_json::{Value as Json, json};

/// The version of the format that the types below follow.
const SCHEMA_VERSION: u32 = 41;
/// The width of a dashboard, in Grafana's units.
const WIDTH: u32 = 24;

/// A dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dashboard {
    pub uid: String,
    pub title: String,
    description: String,
    tags: Vec<&'static str>,
    schema_version: u32,
    version: u32,
    editable: bool,
    graph_tooltip: u32,
    refresh: &'static str,
    time: TimeRange,
    timezone: &'static str,
    templating: Templating,
    annotations: Annotations,
    links: Vec<Link>,
    pub panels: Vec<Panel>,
}

#[derive(Debug, Clone, Serialize)]
struct TimeRange {
    from: &'static str,
    to: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Templating {
    list: Vec<Variable>,
}

#[derive(Debug, Clone, Serialize)]
struct Annotations {
    list: Vec<Json>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    title: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    tags: Vec<&'static str>,
    as_dropdown: bool,
    include_vars: bool,
    keep_time: bool,
}

/// A choice at the top of a dashboard.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Variable {
    name: &'static str,
    label: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    datasource: DataSourceRef,
    query: Json,
    refresh: u32,
    include_all: bool,
    multi: bool,
    all_value: &'static str,
    sort: u32,
    current: Json,
}

/// A data source by uid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DataSourceRef {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub uid: &'static str,
}

/// Metrics.
pub(crate) const PROMETHEUS: DataSourceRef =
    DataSourceRef { kind: "prometheus", uid: crate::components::grafana::sources::PROMETHEUS };
/// Logs.
pub(crate) const LOKI: DataSourceRef =
    DataSourceRef { kind: "loki", uid: crate::components::grafana::sources::LOKI };

/// A panel.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Panel {
    pub id: u32,
    pub title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub grid_pos: GridPos,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub datasource: Option<DataSourceRef>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Query>,
    #[serde(skip_serializing_if = "Json::is_null")]
    pub field_config: Json,
    #[serde(skip_serializing_if = "Json::is_null")]
    pub options: Json,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transformations: Vec<Json>,
}

/// Where a panel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct GridPos {
    pub x: u32,
    pub y: u32,
    pub w: u32,
    pub h: u32,
}

/// What a panel asks.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Query {
    pub ref_id: String,
    pub datasource: DataSourceRef,
    pub expr: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub legend_format: String,
    pub instant: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
}

/// A panel in the making: what it is, and how wide.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    panel: Panel,
}

impl Draft {
    fn new(title: &str, kind: &'static str, width: u32, height: u32, datasource: DataSourceRef) -> Self {
        Self {
            panel: Panel {
                id: 0,
                title: title.to_owned(),
                description: String::new(),
                kind,
                grid_pos: GridPos { x: 0, y: 0, w: width, h: height },
                datasource: Some(datasource),
                targets: Vec::new(),
                field_config: Json::Null,
                options: Json::Null,
                transformations: Vec::new(),
            },
        }
    }

    /// Curves over time, a third of the dashboard wide.
    pub fn curves(title: &str, unit: &str) -> Self {
        let mut draft = Self::new(title, "timeseries", 8, 8, PROMETHEUS);
        draft.panel.field_config = json!({
            "defaults": {
                "unit": unit,
                "min": 0,
                "custom": { "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false },
            },
            "overrides": [],
        });
        draft.panel.options = json!({
            "legend": { "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": true },
            "tooltip": { "mode": "multi", "sort": "desc" },
        });
        draft
    }

    /// One number, a sixth of the dashboard wide. Green below the first threshold, orange from it, red from the second.
    pub fn number(title: &str, unit: &str, thresholds: Option<(f64, f64)>) -> Self {
        let mut draft = Self::new(title, "stat", 4, 4, PROMETHEUS);
        let steps = match thresholds {
            None => json!([{ "color": "blue", "value": null }]),
            Some((warning, critical)) if warning <= critical => json!([
                { "color": "green", "value": null },
                { "color": "orange", "value": warning },
                { "color": "red", "value": critical },
            ]),
            // Less is worse.
            Some((warning, critical)) => json!([
                { "color": "red", "value": null },
                { "color": "orange", "value": critical },
                { "color": "green", "value": warning },
            ]),
        };
        draft.panel.field_config = json!({
            "defaults": { "unit": unit, "thresholds": { "mode": "absolute", "steps": steps } },
            "overrides": [],
        });
        draft.panel.options = json!({
            "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
            "colorMode": "value",
            "graphMode": "area",
            "textMode": "auto",
        });
        draft
    }

    /// A table of the newest values, half the dashboard wide.
    pub fn table(title: &str, unit: &str) -> Self {
        let mut draft = Self::new(title, "table", 12, 9, PROMETHEUS);
        draft.panel.field_config = json!({ "defaults": { "unit": unit }, "overrides": [] });
        draft.panel.options =
            json!({ "showHeader": true, "sortBy": [{ "displayName": "Value", "desc": false }] });
        draft.panel.transformations = vec![json!({
            "id": "organize",
            "options": { "excludeByName": { "Time": true, "__name__": true } },
        })];
        draft
    }

    /// Lines of log, over the whole width.
    pub fn logs(title: &str, query: &str) -> Self {
        let mut draft = Self::new(title, "logs", WIDTH, 10, LOKI);
        draft.panel.options = json!({ "showTime": true, "wrapLogMessage": true, "sortOrder": "Descending" });
        draft.panel.targets = vec![Query {
            ref_id: "A".to_owned(),
            datasource: LOKI,
            expr: query.to_owned(),
            legend_format: String::new(),
            instant: false,
            format: None,
        }];
        draft
    }

    /// Adds what it asks. Tables and numbers ask for the newest value only.
    pub fn ask(mut self, expr: &str, legend: &str) -> Self {
        let letter = char::from(b'A' + u8::try_from(self.panel.targets.len()).unwrap_or(0).min(25));
        self.panel.targets.push(Query {
            ref_id: letter.to_string(),
            datasource: PROMETHEUS,
            expr: expr.split_whitespace().collect::<Vec<_>>().join(" "),
            legend_format: legend.to_owned(),
            instant: self.panel.kind != "timeseries",
            format: (self.panel.kind == "table").then_some("table"),
        });
        self
    }

    /// Explains what is to be seen.
    pub fn about(mut self, description: &str) -> Self {
        self.panel.description = description.to_owned();
        self
    }

    /// Changes the width.
    pub fn wide(mut self, width: u32) -> Self {
        self.panel.grid_pos.w = width.min(WIDTH);
        self
    }
}

impl Dashboard {
    /// An empty dashboard.
    pub fn new(uid: &str, title: &str, description: &str, tag: &'static str) -> Self {
        Self {
            uid: format!("plinth-{uid}"),
            title: title.to_owned(),
            description: description.to_owned(),
            tags: vec!["plinth", tag],
            schema_version: SCHEMA_VERSION,
            version: 1,
            editable: false,
            graph_tooltip: 1,
            refresh: "1m",
            time: TimeRange { from: "now-6h", to: "now" },
            timezone: "browser",
            templating: Templating { list: Vec::new() },
            annotations: Annotations {
                list: vec![json!({
                    "name": "Alerts",
                    "enable": true,
                    "hide": false,
                    "iconColor": "red",
                    "datasource": PROMETHEUS,
                    "expr": "ALERTS{alertstate=\"firing\", severity=\"critical\"} == 1",
                    "titleFormat": "{{alertname}}",
                    "tagKeys": "namespace,job,instance",
                })],
            },
            links: vec![Link {
                title: "Platform",
                kind: "dashboards",
                tags: vec!["plinth"],
                as_dropdown: true,
                include_vars: false,
                keep_time: true,
            }],
            panels: Vec::new(),
        }
    }

    /// Lets people choose among the values of a label.
    pub fn choice(mut self, name: &'static str, label: &'static str, metric: &str) -> Self {
        let query = format!("label_values({metric}, {name})");
        self.templating.list.push(Variable {
            name,
            label,
            kind: "query",
            datasource: PROMETHEUS,
            query: json!({ "query": query, "refId": "choice" }),
            refresh: 2,
            include_all: true,
            multi: true,
            all_value: ".*",
            sort: 1,
            current: json!({ "text": ["All"], "value": ["$__all"] }),
        });
        self
    }

    /// Adds a heading, and panels below it from left to right, breaking lines where they do not fit.
    pub fn row(mut self, title: &str, drafts: impl IntoIterator<Item = Draft>) -> Self {
        let mut y = self.panels.iter().map(|panel| panel.grid_pos.y + panel.grid_pos.h).max().unwrap_or(0);
        self.panels.push(Panel {
            id: self.next_id(),
            title: title.to_owned(),
            description: String::new(),
            kind: "row",
            grid_pos: GridPos { x: 0, y, w: WIDTH, h: 1 },
            datasource: None,
            targets: Vec::new(),
            field_config: Json::Null,
            options: Json::Null,
            transformations: Vec::new(),
        });
        y += 1;
        let (mut x, mut tallest) = (0, 0);
        for draft in drafts {
            let mut panel = draft.panel;
            if x + panel.grid_pos.w > WIDTH {
                (x, y, tallest) = (0, y + tallest, 0);
            }
            panel.id = self.next_id();
            (panel.grid_pos.x, panel.grid_pos.y) = (x, y);
            x += panel.grid_pos.w;
            tallest = tallest.max(panel.grid_pos.h);
            self.panels.push(panel);
        }
        self
    }

    fn next_id(&self) -> u32 {
        u32::try_from(self.panels.len()).unwrap_or(u32::MAX - 1) + 1
    }

    /// The file's text.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
