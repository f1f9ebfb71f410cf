//! Amazon's own SDK for Python: what changes things in an account behind Plinth's back, and what judges our stand-ins.

use std::path::PathBuf;
use std::process::Command;

use crate::server::tool;

/// Before every script: `client(service)` gives a client of the account, as somebody else than Plinth.
const PRELUDE: &str = r#"
import json, os, sys, time
import boto3, botocore
session = boto3.session.Session(
    aws_access_key_id="other", aws_secret_access_key="other", region_name=os.environ["REGION"]
)
config = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
def client(service):
    return session.client(service, endpoint_url=os.environ["ENDPOINT"], config=config)
"#;

/// Python with boto3, and the account that it talks to.
#[derive(Debug)]
pub struct Boto {
    program: PathBuf,
    url: String,
    region: String,
}

/// Python with boto3 for the account at `http://host:port`.
pub fn boto(url: &str, region: &str) -> Option<Boto> {
    let program = tool("PLINTH_BOTO3_PYTHON")?;
    Some(Boto { program, url: url.to_owned(), region: region.to_owned() })
}

impl Boto {
    /// Runs a script, and returns what it printed.
    ///
    /// # Panics
    /// When the script fails; with what it said.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let output = Command::new(&self.program)
            .args(["-c", &format!("{PRELUDE}\n{script}")])
            .env("ENDPOINT", &self.url)
            .env("REGION", &self.region)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .output()
            .expect("Python with boto3 starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
