//! The tables from throughput to replicas and resources, and the arithmetic of disks.

use super::{Shape, Start, Stated, explained};
use crate::model::Platform;

/// What a rate asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    /// The number of pods.
    pub replicas: u32,
    /// Thousandths of a core for each.
    pub millicores: u64,
    /// Mebibytes of memory for each.
    pub mebibytes: u64,
}

/// A whole number of replicas out of a rate, dropping the fraction; nonsense gives none, and nobody gets more than 1000.
pub(super) fn whole(amount: f64) -> u32 {
    // The cast saturates, and sends what is not a number to 0.
    amount.floor().clamp(0.0, 1000.0) as u32
}

fn whole_up(amount: f64) -> u32 {
    whole(amount.ceil())
}

/// Collector gateway, by spans per second: below 10,000 two; from 3 to 5 up to 50,000; one more per further 10,000.
pub fn collector_gateway(spans_per_second: u64) -> Derived {
    let spans = spans_per_second;
    if spans < 10_000 {
        Derived { replicas: 2, millicores: 500, mebibytes: 512 }
    } else if spans <= 50_000 {
        let replicas = 3 + u32::try_from(((spans - 10_000) * 2).div_ceil(40_000)).unwrap_or(2);
        Derived { replicas, millicores: 1000, mebibytes: 1024 }
    } else {
        let further = u32::try_from((spans - 50_000) / 10_000).unwrap_or(u32::MAX);
        Derived { replicas: 5 + further.min(995), millicores: 2000, mebibytes: 2048 }
    }
}

/// Loki ingester, by gigabytes per day: below 100 three; from 5 to 10 up to 500; one more per further 50.
pub fn loki_ingester(gb_per_day: f64) -> Derived {
    if gb_per_day < 100.0 || gb_per_day.is_nan() {
        Derived { replicas: 3, millicores: 1000, mebibytes: 2048 }
    } else if gb_per_day <= 500.0 {
        Derived {
            replicas: 5 + whole_up((gb_per_day - 100.0) * 5.0 / 400.0),
            millicores: 2000,
            mebibytes: 4096,
        }
    } else {
        Derived { replicas: 10 + whole((gb_per_day - 500.0) / 50.0), millicores: 4000, mebibytes: 8192 }
    }
}

/// The disk that a number of series needs: two bytes a sample, and a third more for the head and for compaction.
/// In steps of 10 GiB, at least 10.
pub fn prometheus_disk_gibibytes(active_series: u64, retention_seconds: u64, scrape_seconds: u64) -> u64 {
    let samples = u128::from(active_series) * u128::from(retention_seconds / scrape_seconds.max(1));
    let bytes = samples.saturating_mul(2).saturating_mul(4) / 3;
    let gibibytes = bytes.div_ceil(1 << 30).div_ceil(10).max(1) * 10;
    u64::try_from(gibibytes).unwrap_or(u64::MAX)
}

/// What a rate (in gigabytes a day, before compression) comes to in a bucket over a retention, in gigabytes.
pub fn bucket_gigabytes(gb_per_day: f64, retention_seconds: u64, compression: f64) -> f64 {
    gb_per_day * (retention_seconds as f64 / 86_400.0) / compression.max(1.0)
}

pub(super) fn gateway(platform: &Platform) -> Shape {
    let gateway = &platform.collector.gateway;
    let stated = Stated { replicas: gateway.replicas, resources: Some(&gateway.resources), storage: None };
    let Some(rate) = gateway.spans_per_second else {
        let start = if platform.high_availability { Start(2, 500, 512, 0) } else { Start(1, 100, 256, 0) };
        return explained(start, stated, None);
    };
    let mut derived = collector_gateway(rate);
    // Two below the first limit are for availability, not for load.
    if rate < 10_000 && !platform.high_availability {
        derived.replicas = 1;
    }
    let why = format!("replicas {}: {rate} spans/s", derived.replicas);
    explained(Start(derived.replicas, derived.millicores, derived.mebibytes, 0), stated, Some(why))
}

pub(super) fn ingester(platform: &Platform) -> Shape {
    let loki = &platform.loki;
    let Some(rate) = loki.gb_per_day else {
        let start =
            if platform.high_availability { Start(3, 1000, 2048, 100) } else { Start(1, 100, 512, 10) };
        return explained(start, &loki.ingester, None);
    };
    let mut derived = loki_ingester(rate);
    if rate < 100.0 && !platform.high_availability {
        derived.replicas = 1;
    }
    // The disk holds the write-ahead log and chunks not yet flushed: half a day of what one ingester gets.
    let copies = if derived.replicas >= 3 { 3.0 } else { 1.0 };
    let half_a_day = u64::from(whole_up((rate * copies / f64::from(derived.replicas) / 2.0).min(1000.0)));
    let least = if platform.high_availability { 100 } else { 10 };
    let disk = half_a_day.div_ceil(10).saturating_mul(10).max(least);
    let why = format!("replicas {}: {rate} GB/day", derived.replicas);
    explained(Start(derived.replicas, derived.millicores, derived.mebibytes, disk), &loki.ingester, Some(why))
}

pub(super) fn tempo_ingester(platform: &Platform, spans_per_second: Option<u64>) -> Shape {
    let start = if platform.high_availability { Start(3, 400, 2048, 70) } else { Start(1, 100, 512, 10) };
    let stated = &platform.tempo.ingester;
    let Some(rate) = spans_per_second else { return explained(start, stated, None) };
    if rate < 10_000 {
        return explained(start, stated, Some(format!("replicas {}: {rate} spans/s", start.0)));
    }
    // Three carry 50,000 spans a second with a replication factor of three; each further 20,000 ask for one more.
    let further = u32::try_from(rate.saturating_sub(50_000).div_ceil(20_000)).unwrap_or(u32::MAX).min(500);
    let replicas = 3 + further;
    // Half a kilobyte a span, three copies, an hour until a block is complete and flushed.
    let hour = rate.saturating_mul(500 * 3 * 3600) / u64::from(replicas) / 1_000_000_000;
    let disk = hour.div_ceil(10).saturating_mul(10).max(start.3);
    let why = format!("replicas {replicas}: {rate} spans/s");
    explained(Start(replicas, 1000, 4096, disk), stated, Some(why))
}

pub(super) fn prometheus(platform: &Platform) -> Shape {
    let prometheus = &platform.prometheus;
    let stated = Stated {
        replicas: prometheus.replicas,
        resources: Some(&prometheus.resources),
        storage: prometheus.storage.as_ref(),
    };
    let start = if platform.high_availability { Start(2, 500, 4096, 100) } else { Start(1, 100, 1024, 20) };
    let Some(series) = prometheus.active_series else {
        let days = prometheus.retention.seconds().div_ceil(86_400);
        // The starting point of 100 GB is for 15 days.
        let disk = if days > 15 { (start.3 * days).div_ceil(150) * 10 } else { start.3 };
        let why =
            (disk != start.3).then(|| format!("storage {disk}Gi: retention of {}", prometheus.retention));
        return explained(Start(start.0, start.1, start.2, disk), stated, why);
    };
    let disk = prometheus_disk_gibibytes(
        series,
        prometheus.retention.seconds(),
        prometheus.scrape_interval.seconds(),
    )
    .max(start.3);
    // Four kilobytes a series in the head, and as much again for queries.
    let memory = (series.saturating_mul(8) / 1024).div_ceil(512).saturating_mul(512).max(start.2);
    // A core for each half million series.
    let cpu = (series / 500).max(start.1).div_ceil(100).saturating_mul(100);
    let why = format!(
        "memory {memory}Mi, storage {disk}Gi: {series} active series every {} for {}",
        prometheus.scrape_interval, prometheus.retention
    );
    explained(Start(start.0, cpu, memory, disk), stated, Some(why))
}
