//! SIGKILL of the real binary at random moments; one plain apply converges.

use std::process::Stdio;
use std::time::Duration;

use crate::support::{SMALL, Sandbox};

/// A small generator, so that a failing seed can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

fn changed(text: &str) -> String {
    text.replace("replicas: 2", "replicas: 3")
        .replace("storage: 1Gi", "storage: 2Gi")
        .replace("location: local-1", "location: local-2")
        .replace("\"v0\"", "\"v1\"")
}

#[test]
fn killed_at_random_moments_the_next_apply_converges() {
    for seed in 1..=6u64 {
        let mut random = Random(seed);
        let sandbox = Sandbox::new();
        let mut text = SMALL.to_owned();
        sandbox.write("small.yaml", &text);
        for round in 0..4 {
            let destroying = round == 3 && seed % 2 == 0;
            let args: &[&str] = if destroying {
                &["destroy", "-s", "small.yaml", "--yes"]
            } else {
                &["apply", "-s", "small.yaml", "--yes"]
            };
            let mut run = sandbox.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(20 + random.below(900)));
            let _ = run.kill();
            run.wait().unwrap();
            if round == 1 {
                text = changed(&text);
                sandbox.write("small.yaml", &text);
            }
        }
        let when = format!("seed {seed}");
        let applied = sandbox.plinth(&["apply", "-s", "small.yaml", "--yes", "--json"]);
        assert_eq!(applied.code, 0, "{when}: one plain apply converges\n{}\n{}", applied.out, applied.err);
        let planned = sandbox.plinth(&["plan", "-s", "small.yaml", "--refresh", "always", "--json"]);
        assert_eq!(planned.code, 0, "{when}: state equals live\n{}\n{}", planned.out, planned.err);
        sandbox.plinth(&["state", "verify", "-s", "small.yaml"]).expect(0);
        {
            let serving = sandbox.serve(&[]);
            let owned = serving.kubectl(&[
                "get",
                "ns,cm,deploy,sts",
                "-A",
                "-l",
                "plinth.dev/stack=small",
                "-o",
                "name",
            ]);
            let mut owned: Vec<String> = owned.expect(0).out.lines().map(str::to_owned).collect();
            owned.sort();
            assert_eq!(
                owned,
                ["configmap/note", "deployment.apps/web", "namespace/app", "statefulset.apps/db"],
                "{when}: nothing twice, nothing orphaned"
            );
            serving.kill();
        }
        sandbox.plinth(&["destroy", "-s", "small.yaml", "--yes"]).expect(0);
        let buckets =
            std::fs::read_dir(sandbox.path(".plinth/_local/cloud/buckets")).map_or(0, Iterator::count);
        assert_eq!(buckets, 0, "{when}: no bucket is left");
    }
}
