//! The platform's components, one module each: a function `declare(&mut Build)` from the stack's model to resources.
//! Each states its own network edges. Which component comes when is in [`declare`]; what waits for what is not, that
//! follows from references.

mod alertmanager;
mod backup;
mod cert_manager;
mod cloud;
mod collector;
mod dashboards;
mod database;
mod exporters;
mod grafana;
mod job;
mod loki;
mod namespaces;
mod network_policies;
mod prometheus;
mod rules;
mod storage;
mod tempo;
mod thanos;
mod traefik;

pub(crate) use cloud::existing_connection;

use crate::kit::Build;

/// Declares the whole platform.
pub(crate) fn declare(build: &mut Build<'_>) {
    cloud::declare(build);
    namespaces::declare(build);
    storage::declare_classes(build);
    cloud::declare_credentials(build);
    cert_manager::declare(build);
    storage::declare_object_store(build);
    traefik::declare(build);
    database::declare(build);
    exporters::declare(build);
    alertmanager::declare(build);
    prometheus::declare(build);
    thanos::declare(build);
    loki::declare(build);
    tempo::declare(build);
    collector::declare(build);
    grafana::declare(build);
    backup::declare(build);
    network_policies::declare(build);
}
