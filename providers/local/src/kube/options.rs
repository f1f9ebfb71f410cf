//! How a server is set up.

use std::sync::Arc;
use std::time::Duration;

use sha2::Digest as _;

use super::faults::Faults;

/// Settings of an embedded API server. The default is a quick server with controllers and one virtual node.
#[derive(Clone)]
pub struct Options {
    /// Whether simulated controllers run.
    pub controllers: bool,
    /// Offer the node `plinth-local` for as long as no other node exists.
    pub virtual_node: bool,
    /// Multiplies every simulated delay; 0 makes everything happen at once.
    pub time_scale: f64,
    /// How long a container takes from scheduled to ready, before scaling.
    pub pod_start: Duration,
    /// How long a Job's pod runs, before scaling.
    pub job_run: Duration,
    /// How long a volume takes to be provisioned, before scaling.
    pub volume_provisioning: Duration,
    /// How long a load balancer takes to get its address, before scaling.
    pub load_balancer: Duration,
    /// How long a certificate takes to be issued, before scaling.
    pub certificate: Duration,
    /// Images that cannot be pulled, beside those with the tag `does-not-exist`.
    pub bad_images: Vec<String>,
    /// The Kubernetes version the server says it is.
    pub version: (u32, u32, u32),
    /// Whether admission webhooks that cannot be reached refuse what they match, as they do in real clusters.
    /// Without controllers there is nothing to reach, and so nothing is refused.
    pub webhooks: bool,
    /// Whether the External Secrets operator is simulated: its definitions are there from the start.
    pub external_secrets: bool,
    /// What goes wrong on purpose.
    pub faults: Option<Arc<dyn Faults>>,
    /// How long every request takes at least, reads included.
    pub latency: Duration,
    /// Which simulated delays take longer than usual.
    pub slow: Option<Slow>,
}

/// Delays of which a share takes up to five times as long, the same ones for the same seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// What the delays are drawn from.
    pub seed: u64,
    /// The share of delays that are longer, between 0 and 1.
    pub rate: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controllers: true,
            virtual_node: true,
            time_scale: 1.0,
            pod_start: Duration::from_millis(25),
            job_run: Duration::from_millis(40),
            volume_provisioning: Duration::from_millis(10),
            load_balancer: Duration::from_millis(20),
            certificate: Duration::from_millis(15),
            bad_images: Vec::new(),
            version: (1, 36, 2),
            webhooks: true,
            external_secrets: true,
            faults: None,
            latency: Duration::ZERO,
            slow: None,
        }
    }
}

impl Options {
    /// A delay after scaling, perhaps a long one; `what` tells it from others.
    pub(crate) fn delay(&self, delay: Duration, what: &str) -> Duration {
        let Some(Slow { seed, rate }) = self.slow else { return self.scaled(delay) };
        let digest = sha2::Sha256::digest(format!("{seed} {what}"));
        let share = |at: usize| f64::from(u16::from_be_bytes([digest[at], digest[at + 1]])) / 65_536.0;
        let factor = if share(0) < rate { 1.0 + 4.0 * share(2) } else { 1.0 };
        self.scaled(delay.mul_f64(factor))
    }

    /// A delay after scaling.
    pub(crate) fn scaled(&self, delay: Duration) -> Duration {
        Duration::try_from_secs_f64(delay.as_secs_f64() * self.time_scale.clamp(0.0, 1e4)).unwrap_or(delay)
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("controllers", &self.controllers)
            .field("virtual_node", &self.virtual_node)
            .field("time_scale", &self.time_scale)
            .field("bad_images", &self.bad_images)
            .field("version", &self.version)
            .field("faults", &self.faults.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_delays_long() {
        let delays = |seed| {
            let options = Options { slow: Some(Slow { seed, rate: 0.5 }), ..Options::default() };
            (0..40).map(|n| options.delay(Duration::from_millis(10), &n.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(delays(3), delays(3));
        assert_ne!(delays(3), delays(4));
        assert!(delays(3).iter().all(|d| (10..=50).contains(&d.as_millis())));
        assert!(
            delays(3).iter().any(|d| d.as_millis() > 10) && delays(3).contains(&Duration::from_millis(10))
        );
        let plain = Options { time_scale: 0.5, ..Options::default() };
        assert_eq!(plain.delay(Duration::from_millis(10), "x"), Duration::from_millis(5));
    }
}
