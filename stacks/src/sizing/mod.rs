//! From a stack's rates to replicas, requests, limits and disks. Pure arithmetic: what a stack file states wins over
//! what is derived, and every derived number knows why it is what it is.

mod rates;
#[cfg(test)]
mod tests;

use crate::model::{Database, Platform, Quantity, Resources, Stack, StatefulWorkload, Workload};

pub use rates::{Derived, bucket_gigabytes, collector_gateway, loki_ingester, prometheus_disk_gibibytes};

/// Requests and limits of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compute {
    /// The processor time that is reserved.
    pub cpu_request: Quantity,
    /// The most processor time.
    pub cpu_limit: Quantity,
    /// The memory that is reserved.
    pub memory_request: Quantity,
    /// The most memory.
    pub memory_limit: Quantity,
}

/// The size of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The number of pods. Workloads with one pod per node say 1 here.
    pub replicas: u32,
    /// Requests and limits of each pod's main container.
    pub resources: Compute,
    /// The size of each pod's disk; `None` for workloads without one.
    pub storage: Option<Quantity>,
    /// Why it has this size, when that was derived from a rate or stated in the stack file.
    pub why: Option<String>,
}

impl Shape {
    /// The disk of a workload that has one; a gibibyte for one that has none.
    pub fn disk(&self) -> Quantity {
        self.storage.clone().unwrap_or_else(|| Quantity::gibibytes(1))
    }
}

/// The size of every workload of the platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizing {
    /// cert-manager's controller.
    pub cert_manager_controller: Shape,
    /// cert-manager's webhook.
    pub cert_manager_webhook: Shape,
    /// cert-manager's injector of authorities.
    pub cert_manager_cainjector: Shape,
    /// The ingress controller.
    pub traefik: Shape,
    /// The database inside the cluster.
    pub database: Shape,
    /// The object store inside the cluster.
    pub object_store: Shape,
    /// Grafana.
    pub grafana: Shape,
    /// Prometheus.
    pub prometheus: Shape,
    /// Alertmanager.
    pub alertmanager: Shape,
    /// Thanos.
    pub thanos: ThanosSizing,
    /// Loki.
    pub loki: LokiSizing,
    /// Tempo.
    pub tempo: TempoSizing,
    /// The collectors that applications send to.
    pub collector_gateway: Shape,
    /// The collector on every node.
    pub collector_agent: Shape,
    /// kube-state-metrics.
    pub kube_state_metrics: Shape,
    /// node-exporter.
    pub node_exporter: Shape,
    /// blackbox-exporter.
    pub blackbox_exporter: Shape,
    /// The backup job.
    pub backup: Shape,
}

/// The sizes of Thanos' components.
#[derive(Debug, Clone, PartialEq)]
pub struct ThanosSizing {
    /// The sidecar beside each Prometheus.
    pub sidecar: Shape,
    /// Answers queries.
    pub query: Shape,
    /// Splits and caches queries.
    pub query_frontend: Shape,
    /// Serves metrics from the bucket.
    pub store: Shape,
    /// Compacts the bucket.
    pub compactor: Shape,
    /// Evaluates rules.
    pub ruler: Shape,
}

/// The sizes of Loki's components.
#[derive(Debug, Clone, PartialEq)]
pub struct LokiSizing {
    /// In how many ingesters each log line is kept.
    pub replication_factor: u32,
    /// Receives logs.
    pub distributor: Shape,
    /// Keeps recent logs.
    pub ingester: Shape,
    /// Answers queries.
    pub querier: Shape,
    /// Splits queries.
    pub query_frontend: Shape,
    /// Queues queries.
    pub query_scheduler: Shape,
    /// Serves the index.
    pub index_gateway: Shape,
    /// Compacts the index.
    pub compactor: Shape,
    /// Evaluates rules.
    pub ruler: Shape,
    /// The one address in front.
    pub gateway: Shape,
}

/// The sizes of Tempo's components.
#[derive(Debug, Clone, PartialEq)]
pub struct TempoSizing {
    /// In how many ingesters each span is kept.
    pub replication_factor: u32,
    /// Receives spans.
    pub distributor: Shape,
    /// Keeps recent traces.
    pub ingester: Shape,
    /// Answers queries.
    pub querier: Shape,
    /// Splits queries.
    pub query_frontend: Shape,
    /// Compacts blocks.
    pub compactor: Shape,
    /// Makes metrics from spans.
    pub metrics_generator: Shape,
}

/// A starting point: replicas, thousandths of a core, mebibytes of memory, gibibytes of disk (0: none).
#[derive(Clone, Copy)]
struct Start(u32, u64, u64, u64);

/// What a stack file may state about a workload.
#[derive(Default, Clone, Copy)]
struct Stated<'a> {
    replicas: Option<u32>,
    resources: Option<&'a Resources>,
    storage: Option<&'a Quantity>,
}

impl<'a> From<&'a Workload> for Stated<'a> {
    fn from(workload: &'a Workload) -> Self {
        Self { replicas: workload.replicas, resources: Some(&workload.resources), storage: None }
    }
}

impl<'a> From<&'a StatefulWorkload> for Stated<'a> {
    fn from(workload: &'a StatefulWorkload) -> Self {
        Self {
            replicas: workload.replicas,
            resources: Some(&workload.resources),
            storage: workload.storage.as_ref(),
        }
    }
}

impl<'a> From<&'a crate::model::CompactorWorkload> for Stated<'a> {
    fn from(workload: &'a crate::model::CompactorWorkload) -> Self {
        Self { replicas: None, resources: Some(&workload.resources), storage: workload.storage.as_ref() }
    }
}

impl<'a> From<&'a Resources> for Stated<'a> {
    fn from(resources: &'a Resources) -> Self {
        Self { replicas: None, resources: Some(resources), storage: None }
    }
}

fn shape<'a>(start: Start, stated: impl Into<Stated<'a>>) -> Shape {
    explained(start, stated, None)
}

/// Lays what is stated over a starting point.
fn explained<'a>(start: Start, stated: impl Into<Stated<'a>>, why: Option<String>) -> Shape {
    let Start(replicas, millicores, mebibytes, gibibytes) = start;
    let stated = stated.into();
    let own = Resources::default();
    let resources = stated.resources.unwrap_or(&own);
    let cpu_request = resources.cpu.clone().unwrap_or_else(|| Quantity::millicores(millicores));
    let memory_request = resources.memory.clone().unwrap_or_else(|| Quantity::mebibytes(mebibytes));
    let cpu_limit = resources.cpu_limit.clone().unwrap_or_else(|| {
        Quantity::millicores(u64::try_from(cpu_request.thousandths().saturating_mul(2)).unwrap_or(u64::MAX))
    });
    let memory_limit = resources.memory_limit.clone().unwrap_or_else(|| memory_request.clone());
    let why = match stated.replicas {
        Some(stated) if stated != replicas => {
            Some(format!("replicas {stated}: stated in the stack file (derived: {replicas})"))
        }
        _ => why,
    };
    Shape {
        replicas: stated.replicas.unwrap_or(replicas),
        resources: Compute { cpu_request, cpu_limit, memory_request, memory_limit },
        storage: (gibibytes > 0)
            .then(|| stated.storage.cloned().unwrap_or_else(|| Quantity::gibibytes(gibibytes))),
        why,
    }
}

impl Sizing {
    /// The sizes for a stack; for one without a platform, those of an empty platform.
    pub fn of(stack: &Stack) -> Self {
        match &stack.platform {
            Some(platform) => Self::of_platform(platform),
            None => Self::of_platform(&Platform::default()),
        }
    }

    /// The sizes for a platform.
    pub fn of_platform(platform: &Platform) -> Self {
        let highly_available = platform.high_availability;
        let pick = |small: Start, large: Start| if highly_available { large } else { small };
        let database = match &platform.database {
            Database::Embedded(database) => Stated {
                replicas: None,
                resources: Some(&database.resources),
                storage: database.storage.as_ref(),
            },
            Database::External(_) => Stated::default(),
        };
        let traefik = &platform.ingress.traefik;
        let grafana = &platform.grafana;
        let alertmanager = &platform.alertmanager;
        Self {
            cert_manager_controller: shape(
                pick(Start(1, 20, 128, 0), Start(2, 20, 256, 0)),
                &platform.cert_manager.controller,
            ),
            cert_manager_webhook: shape(
                pick(Start(1, 20, 64, 0), Start(2, 20, 128, 0)),
                &platform.cert_manager.webhook,
            ),
            cert_manager_cainjector: shape(
                pick(Start(1, 20, 128, 0), Start(2, 20, 256, 0)),
                &platform.cert_manager.cainjector,
            ),
            traefik: shape(
                pick(Start(1, 50, 128, 0), Start(2, 100, 256, 0)),
                Stated { replicas: traefik.replicas, resources: Some(&traefik.resources), storage: None },
            ),
            database: shape(Start(1, 100, 256, 10), database),
            object_store: shape(Start(1, 100, 512, 20), Stated::default()),
            grafana: shape(
                pick(Start(1, 100, 512, 10), Start(2, 250, 1024, 10)),
                Stated {
                    replicas: grafana.replicas,
                    resources: Some(&grafana.resources),
                    storage: grafana.storage.as_ref(),
                },
            ),
            prometheus: rates::prometheus(platform),
            alertmanager: shape(
                pick(Start(1, 20, 64, 1), Start(3, 50, 256, 5)),
                Stated {
                    replicas: alertmanager.replicas,
                    resources: Some(&alertmanager.resources),
                    storage: alertmanager.storage.as_ref(),
                },
            ),
            thanos: ThanosSizing::of(platform),
            loki: LokiSizing::of(platform),
            tempo: TempoSizing::of(platform),
            collector_gateway: rates::gateway(platform),
            collector_agent: shape(
                pick(Start(1, 30, 128, 0), Start(1, 50, 256, 0)),
                &platform.collector.agent.resources,
            ),
            kube_state_metrics: shape(
                pick(Start(1, 20, 128, 0), Start(1, 50, 256, 0)),
                &platform.exporters.kube_state_metrics.resources,
            ),
            node_exporter: shape(
                pick(Start(1, 20, 32, 0), Start(1, 30, 64, 0)),
                &platform.exporters.node_exporter.resources,
            ),
            blackbox_exporter: shape(
                pick(Start(1, 20, 32, 0), Start(2, 20, 64, 0)),
                &platform.exporters.blackbox.workload,
            ),
            backup: shape(Start(1, 100, 256, 0), &platform.backup.resources),
        }
    }

    /// Every workload with its name, for sums and for explanations. `per_node` marks those with one pod per node.
    pub fn workloads<'a>(&'a self, platform: &Platform) -> Vec<SizedWorkload<'a>> {
        let mut all = Vec::new();
        let mut add = |runs: bool, name: &'static str, shape: &'a Shape| {
            if runs {
                all.push(SizedWorkload { name, shape, per_node: false });
            }
        };
        let cert_manager = platform.cert_manager.install;
        add(cert_manager, "cert-manager controller", &self.cert_manager_controller);
        add(cert_manager, "cert-manager webhook", &self.cert_manager_webhook);
        add(cert_manager, "cert-manager cainjector", &self.cert_manager_cainjector);
        add(platform.ingress.class_name.is_none(), "traefik", &self.traefik);
        add(matches!(platform.database, Database::Embedded(_)), "database", &self.database);
        add(true, "grafana", &self.grafana);
        add(true, "prometheus", &self.prometheus);
        add(true, "alertmanager", &self.alertmanager);
        let thanos = platform.thanos.enabled;
        add(thanos, "thanos query", &self.thanos.query);
        add(thanos, "thanos query-frontend", &self.thanos.query_frontend);
        add(thanos, "thanos store", &self.thanos.store);
        add(thanos, "thanos compactor", &self.thanos.compactor);
        add(thanos, "thanos ruler", &self.thanos.ruler);
        let loki = platform.loki.enabled;
        add(loki, "loki distributor", &self.loki.distributor);
        add(loki, "loki ingester", &self.loki.ingester);
        add(loki, "loki querier", &self.loki.querier);
        add(loki, "loki query-frontend", &self.loki.query_frontend);
        add(loki, "loki query-scheduler", &self.loki.query_scheduler);
        add(loki, "loki index-gateway", &self.loki.index_gateway);
        add(loki, "loki compactor", &self.loki.compactor);
        add(loki, "loki ruler", &self.loki.ruler);
        add(loki, "loki gateway", &self.loki.gateway);
        let tempo = platform.tempo.enabled;
        add(tempo, "tempo distributor", &self.tempo.distributor);
        add(tempo, "tempo ingester", &self.tempo.ingester);
        add(tempo, "tempo querier", &self.tempo.querier);
        add(tempo, "tempo query-frontend", &self.tempo.query_frontend);
        add(tempo, "tempo compactor", &self.tempo.compactor);
        add(
            tempo && platform.tempo.metrics_generator.enabled,
            "tempo metrics-generator",
            &self.tempo.metrics_generator,
        );
        add(true, "collector gateway", &self.collector_gateway);
        add(platform.exporters.kube_state_metrics.enabled, "kube-state-metrics", &self.kube_state_metrics);
        add(platform.exporters.blackbox.enabled, "blackbox-exporter", &self.blackbox_exporter);
        if platform.collector.agent.enabled {
            all.push(SizedWorkload { name: "collector agent", shape: &self.collector_agent, per_node: true });
        }
        if platform.exporters.node_exporter.enabled {
            all.push(SizedWorkload { name: "node-exporter", shape: &self.node_exporter, per_node: true });
        }
        all
    }
}

/// A workload's size with its name.
#[derive(Debug, Clone, Copy)]
pub struct SizedWorkload<'a> {
    /// The workload's name.
    pub name: &'static str,
    /// Its size.
    pub shape: &'a Shape,
    /// Whether it runs once on every node, whatever the replicas say.
    pub per_node: bool,
}

impl ThanosSizing {
    fn of(platform: &Platform) -> Self {
        let pick = |small: Start, large: Start| if platform.high_availability { large } else { small };
        let thanos = &platform.thanos;
        Self {
            sidecar: shape(pick(Start(1, 20, 64, 0), Start(1, 50, 256, 0)), &thanos.sidecar),
            query: shape(pick(Start(1, 50, 256, 0), Start(2, 150, 1024, 0)), &thanos.query),
            query_frontend: shape(pick(Start(1, 20, 128, 0), Start(2, 50, 512, 0)), &thanos.query_frontend),
            store: shape(pick(Start(1, 50, 256, 5), Start(2, 150, 2048, 20)), &thanos.store),
            compactor: shape(pick(Start(1, 50, 512, 10), Start(1, 250, 2048, 100)), &thanos.compactor),
            ruler: shape(pick(Start(1, 50, 256, 5), Start(2, 100, 512, 20)), &thanos.ruler),
        }
    }
}

impl LokiSizing {
    fn of(platform: &Platform) -> Self {
        let pick = |small: Start, large: Start| if platform.high_availability { large } else { small };
        let loki = &platform.loki;
        // Beyond the first 250 GB a day, each further 250 GB ask for one more of whatever every line passes through.
        let more = |start: Start| match loki.gb_per_day {
            Some(rate) => Start(start.0 + rates::whole(rate / 250.0), start.1, start.2, start.3),
            None => start,
        };
        let ingester = rates::ingester(platform);
        Self {
            replication_factor: if ingester.replicas >= 3 { 3 } else { 1 },
            distributor: shape(more(pick(Start(1, 50, 128, 0), Start(2, 150, 512, 0))), &loki.distributor),
            ingester,
            querier: shape(more(pick(Start(1, 50, 256, 0), Start(2, 250, 2048, 0))), &loki.querier),
            query_frontend: shape(pick(Start(1, 20, 128, 0), Start(2, 100, 512, 0)), &loki.query_frontend),
            query_scheduler: shape(pick(Start(1, 20, 128, 0), Start(2, 50, 256, 0)), &loki.query_scheduler),
            index_gateway: shape(pick(Start(1, 50, 256, 5), Start(2, 100, 1024, 50)), &loki.index_gateway),
            compactor: shape(pick(Start(1, 50, 256, 10), Start(1, 200, 2048, 100)), &loki.compactor),
            ruler: shape(pick(Start(1, 20, 128, 5), Start(2, 100, 512, 10)), &loki.ruler),
            gateway: shape(more(pick(Start(1, 20, 64, 0), Start(2, 50, 128, 0))), &loki.gateway),
        }
    }
}

impl TempoSizing {
    fn of(platform: &Platform) -> Self {
        let pick = |small: Start, large: Start| if platform.high_availability { large } else { small };
        let tempo = &platform.tempo;
        let spans = platform.tempo.spans_per_second.or(platform.collector.gateway.spans_per_second);
        let more = |start: Start, each: u64| match spans {
            Some(rate) => Start(
                start.0 + u32::try_from(rate / each).unwrap_or(u32::MAX).min(500),
                start.1,
                start.2,
                start.3,
            ),
            None => start,
        };
        let ingester = rates::tempo_ingester(platform, spans);
        Self {
            replication_factor: if ingester.replicas >= 3 { 3 } else { 1 },
            distributor: shape(
                more(pick(Start(1, 50, 256, 0), Start(2, 150, 512, 0)), 25_000),
                &tempo.distributor,
            ),
            ingester,
            querier: shape(pick(Start(1, 50, 256, 0), Start(2, 200, 2048, 0)), &tempo.querier),
            query_frontend: shape(pick(Start(1, 20, 128, 0), Start(2, 100, 512, 0)), &tempo.query_frontend),
            compactor: shape(
                more(pick(Start(1, 50, 256, 0), Start(1, 200, 2048, 0)), 50_000),
                &tempo.compactor,
            ),
            metrics_generator: shape(
                more(pick(Start(1, 50, 256, 5), Start(2, 200, 1024, 10)), 50_000),
                &tempo.metrics_generator.workload,
            ),
        }
    }
}
