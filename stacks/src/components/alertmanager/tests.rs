//! What Alertmanager is told, and whether its own tool accepts it.

use std::fs;

use serde_json::{Value as Json, json};

use crate::components::rules::testing::{Rendered, highly_available, local};
use crate::components::rules::tools::{run, tool};
use crate::kit::yaml;

fn everything() -> Rendered {
    Rendered::of(json!({
        "highAvailability": true,
        "alertmanager": {
            "receivers": [
                {
                    "name": "on call",
                    "slack": [{ "apiUrl": { "value": "https://hooks.example.com/slack-hush" }, "channel": "#alerts" }],
                    "pagerduty": [{ "routingKey": { "value": "pager-hush" } }],
                    "email": [{
                        "to": "oncall@example.com", "from": "plinth@example.com", "smarthost": "mail.example.com:587",
                        "username": "plinth", "password": { "value": "mail-hush" },
                    }],
                    "webhook": [{ "url": { "value": "https://hooks.example.com/web-hush" } }],
                },
                { "name": "team" },
            ],
            "route": {
                "receiver": "on call",
                "routes": [{ "receiver": "team", "matchers": ["team = \"a\""], "continue": true }],
            },
            "deadMansSwitch": { "url": { "value": "https://dead.example.com/switch-hush" } },
        },
    }))
}

fn config(rendered: &Rendered) -> Json {
    rendered.yaml("alertmanager", "alertmanager.yaml")
}

#[test]
fn secrets_are_read_from_files() {
    let rendered = everything();
    let config = config(&rendered);
    let receiver = &config["receivers"][0];
    let directory = "/etc/alertmanager/secrets";
    assert_eq!(receiver["slack_configs"][0]["api_url_file"], format!("{directory}/on-call-0-slack-0"));
    assert_eq!(
        receiver["pagerduty_configs"][0]["routing_key_file"],
        format!("{directory}/on-call-0-pagerduty-0")
    );
    assert_eq!(receiver["email_configs"][0]["auth_password_file"], format!("{directory}/on-call-0-email-0"));
    assert_eq!(receiver["webhook_configs"][0]["url_file"], format!("{directory}/on-call-0-webhook-0"));
    let open = rendered.everything_but_secrets();
    for hushed in ["slack-hush", "pager-hush", "mail-hush", "web-hush", "switch-hush"] {
        assert!(!open.contains(hushed), "{hushed}");
    }
}

#[test]
fn the_dead_mans_switch_comes_first_and_often() {
    let config = config(&everything());
    let first = &config["route"]["routes"][0];
    assert_eq!(first["receiver"], "plinth-dead-mans-switch");
    assert_eq!(first["matchers"], json!(["alertname = \"Watchdog\""]));
    assert_eq!(first["repeat_interval"], "5m");
    assert_eq!(config["route"]["routes"][2]["matchers"], json!(["team = \"a\""]));
}

#[test]
fn members_gossip_over_mutual_tls() {
    let rendered = highly_available();
    let gossip = rendered.yaml("alertmanager", "gossip.yaml");
    assert_eq!(gossip["tls_server_config"]["client_auth_type"], "RequireAndVerifyClientCert");
    let arguments = rendered.arguments("StatefulSet", "alertmanager", 0);
    let peers = arguments.iter().filter(|one| one.starts_with("--cluster.peer=")).count();
    assert_eq!(peers, 3);
    let headless = rendered.object("Service", "alertmanager-headless");
    assert_eq!(headless.at("spec.publishNotReadyAddresses"), json!(true));
}

#[test]
fn one_alone_does_not_gossip() {
    let arguments = local().arguments("StatefulSet", "alertmanager", 0);
    assert!(arguments.contains(&"--cluster.listen-address=".to_owned()));
}

#[test]
fn amtool_accepts_the_configuration() {
    let Some(amtool) = tool("PLINTH_AMTOOL") else { return };
    for rendered in [everything(), highly_available(), local()] {
        let mut config = config(&rendered);
        // Amtool looks for files, and older ones know no file for the address of a web hook.
        for receiver in config["receivers"].as_array_mut().unwrap() {
            for hook in receiver["webhook_configs"].as_array_mut().into_iter().flatten() {
                hook.as_object_mut().unwrap().remove("url_file");
                hook["url"] = json!("https://hooks.example.com/");
            }
        }
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("alertmanager.yaml"), yaml::to_yaml(&config)).unwrap();
        let said = run(&amtool, directory.path(), &["check-config", "alertmanager.yaml"]);
        assert!(said.contains("SUCCESS"), "{said}");
    }
}

#[test]
fn receivers_with_similar_names_keep_their_own_secrets() {
    let slack = |secret: &str| json!([{ "apiUrl": { "value": secret }, "channel": "#a" }]);
    let rendered = Rendered::of(json!({ "alertmanager": { "receivers": [
        { "name": "on call", "slack": slack("one") },
        { "name": "on-call", "slack": slack("two") },
    ] } }));
    let secret = rendered.object("Secret", "alertmanager-receivers");
    assert_eq!(secret.at("stringData").as_object().unwrap().len(), 2, "{secret}");
}
