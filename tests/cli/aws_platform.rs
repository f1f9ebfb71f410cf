//! The platform on AWS over the binary: `stacks/aws.yaml` as it is, EKS and the other services by stand-ins, the cluster's
//! API by the embedded one behind EKS's own door, and the state in a bucket of the same account.

use std::io::{Read as _, Write as _};
use std::process::Command;

use plinth_emulators::{Eks, EksDoor, Server};
use serde_json::Value as Json;

use crate::support::{Ran, Sandbox};

const SECRET: &str = "signs-for-the-account";
const CLUSTER: &str = "plinth-aws";

struct Cloud {
    moto: Server,
    eks: Eks,
    sandbox: Sandbox,
    _door: EksDoor,
}

impl Cloud {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(args);
        command
            .args(["-s", "aws", "--state", "s3://state/plinth"])
            .env("AWS_ENDPOINT_URL", self.eks.url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    #[track_caller]
    fn plinth(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    /// Everything that moto holds, by service and kind.
    fn held(&self) -> Json {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.moto.port())).unwrap();
        write!(stream, "GET /moto-api/data.json HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let body = reply.split_once("\r\n\r\n").unwrap().1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    /// The names of everything that a stack could have made there.
    fn inventory(&self) -> Vec<String> {
        let held = self.held();
        let mut found = self.eks.inventory();
        let kinds =
            [("iam", "Role", "name"), ("iam", "OpenIDConnectProvider", "url"), ("s3", "FakeBucket", "name")];
        for (service, kind, name) in kinds {
            let all = held[service][kind].as_array().cloned().unwrap_or_default();
            found.extend(all.iter().map(|one| format!("{kind} {}", one[name])));
        }
        for (kind, name) in [
            ("VPC", "cidr_block"),
            ("Subnet", "cidr_block"),
            ("NatGateway", "id"),
            ("ElasticAddress", "public_ip"),
        ] {
            let all = held["ec2"][kind].as_array().cloned().unwrap_or_default();
            found.extend(all.iter().map(|one| format!("{kind} {}", one[name])));
        }
        found.sort();
        found
    }
}

fn cloud<T>(test: impl FnOnce(&Cloud) -> T) -> Option<T> {
    let moto = plinth_emulators::moto()?;
    moto.make_bucket("state");
    let cluster = Sandbox::with_stacks();
    let serving = cluster.serve(&[]);
    let kubeconfig = std::fs::read_to_string(cluster.path("kubeconfig")).unwrap();
    let value =
        |key: &str| kubeconfig.lines().find_map(|line| line.trim().strip_prefix(key)).unwrap().to_owned();
    let (address, token) = (value("server: https://"), value("token: "));
    let door = EksDoor::before(&format!("http://{address}"), &token, CLUSTER, SECRET);
    let eks = Eks::before(&moto.url());
    eks.kubernetes(&door.url(), &door.authority());
    let cloud = Cloud { moto, eks, sandbox: Sandbox::with_stacks(), _door: door };
    let result = test(&cloud);
    serving.end();
    Some(result)
}

#[test]
fn the_platform_comes_up_on_aws_is_upgraded_and_goes() {
    cloud(|cloud| {
        let before = cloud.inventory();
        let made = cloud.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert!(made.counts()[0] > 300, "{:?}", made.counts());
        assert_eq!(made.counts()[4], 0);
        cloud.plinth(&["plan", "--refresh", "always"]).expect(0);
        cloud.plinth(&["drift"]).expect(0);

        // Somebody turns the logs of the control plane off.
        cloud.eks.tamper(CLUSTER, |cluster| {
            let off = serde_json::json!([{ "types": ["api", "audit"], "enabled": false }]);
            cluster["logging"]["clusterLogging"] = off;
        });
        let drift = cloud.plinth(&["drift"]).expect(2);
        assert!(drift.out.contains("aws:eks/Cluster::cluster"), "{}", drift.out);
        cloud.plinth(&["apply", "--yes", "--refresh", "always"]).expect(0);
        cloud.plinth(&["drift"]).expect(0);

        // Upgrade: the control plane, then add-ons, then nodes.
        cloud.sandbox.edit("stacks/aws.yaml", "version: \"1.34\"", "version: \"1.35\"");
        cloud.plinth(&["plan"]).expect(2);
        cloud.eks.take_seen();
        let upgraded = cloud.plinth(&["apply", "--yes", "--json"]).expect(0);
        assert_eq!(upgraded.counts()[4], 0);
        let seen: Vec<String> = cloud.eks.take_seen().into_iter().map(|call| call.operation).collect();
        let first = |operation: &str| {
            seen.iter().position(|one| one == operation).unwrap_or_else(|| panic!("{operation}: {seen:?}"))
        };
        assert!(first("UpdateClusterVersion") < first("UpdateAddon"));
        assert!(first("UpdateAddon") < first("UpdateNodegroupVersion"));
        cloud.plinth(&["plan", "--refresh", "always"]).expect(0);

        let gone = cloud.plinth(&["destroy", "--yes", "--json"]).expect(0);
        assert_eq!(gone.counts()[4], 0);
        assert_eq!(cloud.inventory(), before, "nothing is left");
    });
}
