//! How fast a rehearsal goes: as the real stack did, scaled down, where its state tells.

use std::collections::BTreeMap;
use std::time::Duration;

use plinth_state::{Action, Learned, Log, folder_of};

use super::session::Home;
use super::stack_args::PlaceArgs;
use plinth_stacks::model::Settings;

/// A cluster that takes ten minutes is there after two and a half seconds, as one that nothing is known of.
const SCALE: f64 = 1.0 / 240.0;

/// What of the embedded cloud stands for which kind of a real one.
const STAND_INS: [(&str, &str); 7] = [
    ("local:cloud/Network", "aws:cloudformation/Stack"),
    ("local:cloud/Key", "aws:kms/Key"),
    ("local:cloud/Cluster", "aws:eks/Cluster"),
    ("local:cloud/NodePool", "aws:eks/NodeGroup"),
    ("local:cloud/AddOn", "aws:eks/AddOn"),
    ("local:cloud/Identity", "aws:iam/Role"),
    ("local:cloud/Bucket", "aws:s3/Bucket"),
];

/// What the real stack has learned, if its state lies on this machine: a rehearsal needs no credentials, and is none the
/// worse without.
pub async fn of_real(args: &PlaceArgs, settings: &Settings, stack: &str) -> Learned {
    let real = PlaceArgs { rehearse: false, ..args.clone() };
    let open = async {
        let home = Home::of(&real, settings.state.as_deref(), stack).ok()?;
        let keys = home.keys(&real, &settings.encryption).ok().filter(plinth_state::Keys::are_local)?;
        folder_of(&home.url)?;
        let (_, state) = Log::open(super::storage::open(&home.url).await.ok()?, stack, keys).await.ok()?;
        Some(state.learned)
    };
    open.await.unwrap_or_default()
}

/// How long the embedded cloud takes to make what stands for what was learned of. What was simulated already stays as it is.
pub fn latencies(learned: &Learned) -> BTreeMap<String, Duration> {
    let took = |stand_in: &str, real: &str| {
        let took = |kind: &str| learned.of_kind(kind, Action::Create).map(Duration::from_millis);
        took(real).map(|took| took.mul_f64(SCALE)).or_else(|| took(stand_in))
    };
    STAND_INS
        .into_iter()
        .filter_map(|(stand_in, real)| Some((stand_in.to_owned(), took(stand_in, real)?)))
        .collect()
}

/// What a rehearsal may expect, by what it learned itself and what was learned of the real stack.
pub fn expected(own: Learned, real: &Learned) -> Learned {
    own.or_else(&real.scaled(SCALE, |kind| !kind.starts_with("local:")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_takes_its_share_of_what_the_real_stack_took() {
        let learned = Learned::of_kinds([
            ("aws:eks/Cluster create", 600_000),
            ("aws:eks/Cluster delete", 300_000),
            ("local:cloud/Bucket create", 250),
            ("k8s:apps/v1/Deployment create", 48_000),
        ]);
        let taken = latencies(&learned);
        assert_eq!(taken["local:cloud/Cluster"], Duration::from_millis(2_500));
        assert_eq!(taken["local:cloud/Bucket"], Duration::from_millis(250), "that was simulated already");
        assert_eq!(taken.len(), 2);
        let own = Learned::of_kinds([("k8s:apps/v1/Deployment create", 7)]);
        let expected = expected(own, &learned);
        let of = |kind| expected.of_kind(kind, Action::Create);
        assert_eq!(of("k8s:apps/v1/Deployment"), Some(7), "its own experience counts first");
        assert_eq!((of("aws:eks/Cluster"), of("local:cloud/Bucket")), (Some(2_500), Some(250)));
    }

    /// Every kind of the embedded cloud stands for something.
    #[test]
    fn every_kind_of_the_embedded_cloud_is_known_here() {
        let place = plinth_local::Place::new(std::path::Path::new(""), plinth_local::Options::default());
        let cloud = plinth_local::LocalCloud::new(place);
        for (stand_in, real) in STAND_INS {
            assert!(plinth_provider::Provider::schema(&cloud, stand_in).is_ok(), "{stand_in}");
            let aws = plinth_aws::Aws::new(plinth_aws::Settings::new(""));
            assert!(plinth_provider::Provider::schema(&aws, real).is_ok(), "{real}");
        }
    }
}
