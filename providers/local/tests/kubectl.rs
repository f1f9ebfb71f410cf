//! A real `kubectl` (from `PLINTH_KUBECTL`, or on the path) against the embedded API: as a person would use it, line by
//! line. The same lines run against the cluster that `PLINTH_TEST_KUBECONFIG` names, if it names one.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use plinth_local::{Options, Place};

const TRANSCRIPT: &str = include_str!("kubectl.transcript");

struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

/// What a command printed, standard output before standard error, and whether it went well.
struct Said {
    fine: bool,
    text: String,
}

impl Kubectl {
    fn new(home: PathBuf, kubeconfig: PathBuf) -> Self {
        let program =
            std::env::var_os("PLINTH_KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from);
        let mut version = Command::new(&program);
        version.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(
            version.status().is_ok_and(|status| status.success()),
            "no kubectl: put one on the path or name it in PLINTH_KUBECTL (tried {})",
            program.display()
        );
        Self { program, kubeconfig, home }
    }

    async fn run(&self, words: Vec<String>, input: String) -> Said {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(self.home.join("cache"))
            .args(words)
            .env("HOME", &self.home)
            .env("KUBECTL_EXTERNAL_DIFF", "diff -u -N")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = move || {
            let mut child = command.spawn().expect("starts");
            let mut stdin = child.stdin.take().expect("stdin");
            // Who has been refused already may not read on.
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
            drop(stdin);
            let output = child.wait_with_output().expect("ends");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Said {
                fine: output.status.success(),
                text: format!("{}\n{}", text(&output.stdout), text(&output.stderr)),
            }
        };
        tokio::task::spawn_blocking(run).await.expect("runs")
    }
}

/// One command of the transcript with what belongs to it.
#[derive(Default)]
struct Step {
    line: usize,
    fine: bool,
    /// Whether it needs what only the embedded API has: nodes that are its own, and logs.
    embedded: bool,
    command: String,
    input: String,
    expected: Vec<String>,
}

fn steps(namespace: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut embedded = false;
    for (index, line) in TRANSCRIPT.lines().enumerate() {
        let line = line.replace("<ns>", namespace);
        let begins = |mark: &str| line.strip_prefix(mark).map(str::to_owned);
        if let Some(command) = begins("$ ").or_else(|| begins("! ")) {
            let fine = line.starts_with('$');
            steps.push(Step { line: index + 1, fine, embedded, command, ..Step::default() });
        } else if let Some(whose) = begins("%% ") {
            embedded = whose == "embedded";
        } else if let (Some(input), Some(step)) = (begins("| "), steps.last_mut()) {
            step.input.push_str(&input);
            step.input.push('\n');
        } else if !line.starts_with('%')
            && !line.trim().is_empty()
            && let Some(step) = steps.last_mut()
        {
            step.expected.push(line);
        }
    }
    steps
}

/// Words, with single quotes around those that hold spaces.
fn words(command: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in command.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => out.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(c),
        }
    }
    out.extend((!word.is_empty()).then_some(word));
    out
}

fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line is what it should be; `[..]` stands for anything.
fn fits(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Whether lines are what they should be; `...` stands for any number of them.
fn match_lines(expected: &[String], lines: &[String]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first == "..." => (0..=lines.len()).any(|n| match_lines(rest, &lines[n..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, more)| fits(first, line) && match_lines(rest, more))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_hears_from_the_embedded_api_what_it_hears_from_a_real_one() {
    let dir = tempfile::tempdir().expect("dir");
    let place = Place::new(&dir.path().join("place"), Options { latency_scale: 0.5, ..Options::default() });
    let kubeconfig = match std::env::var_os("PLINTH_TEST_KUBECONFIG") {
        Some(file) => PathBuf::from(file),
        None => {
            place.endpoint().await.expect("serves");
            let file = dir.path().join("kubeconfig");
            std::fs::write(&file, place.kubeconfig().expect("kubeconfig")).expect("writes");
            file
        }
    };
    let embedded = std::env::var_os("PLINTH_TEST_KUBECONFIG").is_none();
    let kubectl = Kubectl::new(dir.path().to_owned(), kubeconfig);
    let namespace = format!("plinth-script-{}", std::process::id());
    let steps = steps(&namespace);
    assert!(steps.len() >= 60, "only {} commands", steps.len());
    let mut wrong = Vec::new();
    for step in steps.iter().filter(|step| embedded || !step.embedded) {
        let said = kubectl.run(words(&step.command), step.input.clone()).await;
        let lines: Vec<String> = said.text.lines().map(squeezed).filter(|l| !l.is_empty()).collect();
        let expected: Vec<String> = step.expected.iter().map(|l| squeezed(l)).collect();
        if said.fine != step.fine || !match_lines(&expected, &lines) {
            let Step { line, command, .. } = step;
            let ended = if said.fine { "went well" } else { "failed" };
            wrong.push(format!(
                "line {line}: kubectl {command}\n  {ended}\n  expected:\n    {}\n  said:\n    {}",
                expected.join("\n    "),
                lines.join("\n    ")
            ));
        }
    }
    place.shutdown().await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(wrong.is_empty(), "{} of {} commands:\n\n{}", wrong.len(), steps.len(), wrong.join("\n\n"));
}

#[test]
fn expectations_know_wildcards() {
    assert!(fits("a [..] c", "a b b c") && fits("[..]", "") && !fits("a [..]c", "a b"));
    let list = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(match_lines(&list("a ... d"), &list("a b c d")));
    assert!(!match_lines(&list("a b"), &list("a b c")));
    assert_eq!(words("get cm -l 'a in (b)' x"), ["get", "cm", "-l", "a in (b)", "x"]);
}
