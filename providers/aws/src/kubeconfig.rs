//! The kubeconfig with which people enter EKS clusters: tokens come from the AWS command line, so nothing in it is secret
//! and nothing in it ends.

use std::fmt::Write as _;

use plinth_provider::Value;

use crate::Settings;

/// The kubeconfig for clusters by their outputs, the first of them current; `None` when none of them has an API server
/// yet. Every value in it is of letters that need no quoting, or AWS's own.
pub fn kubeconfig<'a>(clusters: impl IntoIterator<Item = &'a Value>, settings: &Settings) -> Option<String> {
    let mut listed = [String::new(), String::new(), String::new()];
    let mut current = None;
    for outputs in clusters {
        let of = |key: &str| outputs.text_at(key);
        let (Some(name), Some(server), Some(authority)) =
            (of("name"), of("endpoint"), of("certificateAuthority"))
        else {
            continue;
        };
        let region = of("region").unwrap_or(&settings.region);
        current.get_or_insert(name);
        let [clusters, contexts, users] = &mut listed;
        let _ = write!(
            clusters,
            "  - name: {name}\n    cluster:\n      server: {server}\n      certificate-authority-data: {authority}\n"
        );
        let _ =
            write!(contexts, "  - name: {name}\n    context:\n      cluster: {name}\n      user: {name}\n");
        let _ = write!(
            users,
            "  - name: {name}\n    user:\n      exec:\n        apiVersion: client.authentication.k8s.io/v1beta1\n        \
             command: aws\n        interactiveMode: IfAvailable\n        provideClusterInfo: false\n        \
             installHint: install the AWS command line, which makes the tokens for EKS\n        args: [{}]\n",
            arguments(name, region, settings).join(", ")
        );
        if let Some(profile) = &settings.profile {
            let _ = write!(
                users,
                "        env:\n          - name: AWS_PROFILE\n            value: {}\n",
                quoted(profile)
            );
        }
    }
    let [clusters, contexts, users] = listed;
    let current = current?;
    Some(format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {current}\nclusters:\n{clusters}contexts:\n{contexts}users:\n{users}"
    ))
}

fn arguments(name: &str, region: &str, settings: &Settings) -> Vec<String> {
    let mut arguments =
        vec!["eks", "get-token", "--cluster-name", name, "--region", region, "--output", "json"];
    if let Some(role) = &settings.role_arn {
        arguments.extend(["--role-arn", role]);
    }
    arguments.into_iter().map(quoted).collect()
}

/// As JSON, which YAML understands.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_enters_by_the_command_line_of_aws() {
        let cluster = Value::from([
            ("name", "dev-main"),
            ("endpoint", "https://x.eks.amazonaws.com"),
            ("certificateAuthority", "LS0t"),
            ("region", "eu-central-1"),
        ]);
        let settings = Settings {
            profile: Some("ops: \"x\"".to_owned()),
            role_arn: Some("arn:aws:iam::1:role/ops".to_owned()),
            ..Settings::new("eu-west-1")
        };
        let text = kubeconfig([&cluster], &settings).unwrap();
        let parsed: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(parsed["current-context"], "dev-main");
        assert_eq!(parsed["clusters"][0]["cluster"]["server"], "https://x.eks.amazonaws.com");
        let exec = &parsed["users"][0]["user"]["exec"];
        assert_eq!(exec["command"], "aws");
        let arguments: Vec<&str> =
            exec["args"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
        assert!(arguments.windows(2).any(|pair| pair == ["--region", "eu-central-1"]));
        assert!(arguments.windows(2).any(|pair| pair == ["--role-arn", "arn:aws:iam::1:role/ops"]));
        assert_eq!(exec["env"][0]["value"], "ops: \"x\"");
        assert_eq!(kubeconfig([&Value::from([("name", "new")])], &settings), None);
    }
}
