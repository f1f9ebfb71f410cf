//! The tables at their edges, and the rule that what is stated wins.

use super::*;

#[test]
fn collector_gateway_at_the_edges_of_its_table() {
    let at = |spans| {
        let derived = collector_gateway(spans);
        (derived.replicas, derived.millicores, derived.mebibytes)
    };
    assert_eq!(at(0), (2, 500, 512));
    assert_eq!(at(9_999), (2, 500, 512));
    assert_eq!(at(10_000), (3, 1000, 1024));
    assert_eq!(at(10_001), (4, 1000, 1024));
    assert_eq!(at(30_000), (4, 1000, 1024));
    assert_eq!(at(30_001), (5, 1000, 1024));
    assert_eq!(at(50_000), (5, 1000, 1024));
    assert_eq!(at(50_001), (5, 2000, 2048));
    assert_eq!(at(60_000), (6, 2000, 2048));
    assert_eq!(at(u64::MAX).0, 1000);
}

#[test]
fn loki_ingester_at_the_edges_of_its_table() {
    let at = |rate| {
        let derived = loki_ingester(rate);
        (derived.replicas, derived.millicores, derived.mebibytes)
    };
    assert_eq!(at(0.0), (3, 1000, 2048));
    assert_eq!(at(99.9), (3, 1000, 2048));
    assert_eq!(at(100.0), (5, 2000, 4096));
    assert_eq!(at(250.0), (7, 2000, 4096));
    assert_eq!(at(500.0), (10, 2000, 4096));
    assert_eq!(at(500.5), (10, 4000, 8192));
    assert_eq!(at(550.0), (11, 4000, 8192));
    assert_eq!(at(f64::INFINITY).0, 1010);
    assert_eq!(at(f64::NAN).0, 3);
}

#[test]
fn derivations_say_which_rate_they_come_from() {
    let mut platform = Platform { high_availability: true, ..Platform::default() };
    platform.loki.gb_per_day = Some(250.0);
    let sizing = Sizing::of_platform(&platform);
    assert_eq!(sizing.loki.ingester.why.as_deref(), Some("replicas 7: 250 GB/day"));
    assert_eq!(sizing.loki.replication_factor, 3);
    platform.loki.ingester.replicas = Some(9);
    let sizing = Sizing::of_platform(&platform);
    assert_eq!(sizing.loki.ingester.replicas, 9);
    assert_eq!(
        sizing.loki.ingester.why.as_deref(),
        Some("replicas 9: stated in the stack file (derived: 7)")
    );
}

#[test]
fn limits_follow_requests_unless_stated() {
    let mut platform = Platform::default();
    platform.grafana.resources.cpu = Some("750m".parse().unwrap());
    platform.grafana.resources.memory = Some("2Gi".parse().unwrap());
    let grafana = Sizing::of_platform(&platform).grafana;
    assert_eq!(grafana.resources.cpu_limit.as_str(), "1500m");
    assert_eq!(grafana.resources.memory_limit.as_str(), "2Gi");
    platform.grafana.resources.memory_limit = Some("3Gi".parse().unwrap());
    assert_eq!(Sizing::of_platform(&platform).grafana.resources.memory_limit.as_str(), "3Gi");
}

#[test]
fn prometheus_grows_with_series_and_retention() {
    let mut platform = Platform { high_availability: true, ..Platform::default() };
    assert_eq!(Sizing::of_platform(&platform).prometheus.disk().as_str(), "100Gi");
    platform.prometheus.retention = "30d".parse().unwrap();
    assert_eq!(Sizing::of_platform(&platform).prometheus.disk().as_str(), "200Gi");
    platform.prometheus.active_series = Some(2_000_000);
    let prometheus = Sizing::of_platform(&platform).prometheus;
    assert_eq!(prometheus.disk().as_str(), "430Gi");
    assert_eq!(prometheus.resources.memory_request.as_str(), "15872Mi");
    assert_eq!(prometheus.resources.cpu_request.as_str(), "4");
}

#[test]
fn starting_points_hold_the_storage_that_production_asks_for() {
    let platform = Platform { high_availability: true, ..Platform::default() };
    let sizing = Sizing::of_platform(&platform);
    let total = |prefix: &str| -> u64 {
        sizing
            .workloads(&platform)
            .iter()
            .filter(|workload| workload.name.starts_with(prefix))
            .filter_map(|workload| {
                workload.shape.storage.as_ref().map(|disk| disk.whole() * u64::from(workload.shape.replicas))
            })
            .sum()
    };
    assert!(total("loki") >= 500 << 30);
    assert!(total("tempo") >= 200 << 30);
    assert!(sizing.prometheus.disk().whole() >= 100 << 30);
    assert!(sizing.grafana.disk().whole() >= 10 << 30);
}
