//! Who a stack on AWS is applied as: users, roles that are assumed, profiles, and what each is told that is missing; over the
//! binary, against ministack, which knows users, sessions and IAM's simulator.

use plinth_emulators::{AwsFault, Boto, Eks, Server};

use crate::support::{Ran, Sandbox};

const STACK: &str = r#"apiVersion: plinth.dev/v1
kind: Stack
name: mine
cloud: { provider: aws, region: eu-central-1, accountId: "000000000000" }
resources:
  - { kind: "aws:kms/Key", name: main }
  - { kind: "aws:kms/Alias", name: short, inputs: { name: mine-main, key: "${main.id}" } }
"#;

/// A user who may look at keys and nothing else, and a role that anybody of the account may assume.
const PEOPLE: &str = r#"
iam = client("iam")
iam.create_user(UserName="ci")
allow = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["kms:List*", "kms:Describe*", "sts:AssumeRole"], "Resource": "*"}]}
iam.put_user_policy(UserName="ci", PolicyName="look", PolicyDocument=json.dumps(allow))
trust = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "sts:AssumeRole"}]}
iam.create_role(RoleName="plinth", AssumeRolePolicyDocument=json.dumps(trust))
everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
iam.put_role_policy(RoleName="plinth", PolicyName="all", PolicyDocument=json.dumps(everything))
key = iam.create_access_key(UserName="ci")["AccessKey"]
print(key["AccessKeyId"], key["SecretAccessKey"])
"#;

struct Account {
    server: Server,
    sandbox: Sandbox,
    id: String,
    secret: String,
}

impl Account {
    fn new() -> Option<Self> {
        let server = plinth_emulators::ministack()?;
        let boto: Boto = plinth_emulators::boto(&server.url(), "eu-central-1")?;
        let told = boto.run(PEOPLE);
        let (id, secret) = told.trim().split_once(' ').unwrap();
        let sandbox = Sandbox::new();
        sandbox.write("stacks/mine.yaml", STACK);
        Some(Self { server, sandbox, id: id.to_owned(), secret: secret.to_owned() })
    }

    /// As the user, by the environment.
    #[track_caller]
    fn plinth(&self, args: &[&str]) -> Ran {
        self.plinth_with(args, &[("AWS_ACCESS_KEY_ID", &self.id), ("AWS_SECRET_ACCESS_KEY", &self.secret)])
    }

    #[track_caller]
    fn plinth_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let mut command = self.sandbox.command(args);
        command.args(["-s", "mine"]).env("AWS_ENDPOINT_URL", self.server.url());
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(variables.iter().copied());
        Ran::of(command.output().unwrap())
    }

    fn assume(&self, role: &str) {
        let to = format!("accountId: \"000000000000\", roleArn: \"arn:aws:iam::000000000000:role/{role}\"");
        self.sandbox.edit("stacks/mine.yaml", "accountId: \"000000000000\"", &to);
    }
}

#[test]
fn what_a_user_may_not_do_is_told_before_it_is_tried() {
    let Some(account) = Account::new() else { return };
    let told = account.plinth(&["check", "--permissions"]).expect(1);
    assert!(told.err.contains("kms:CreateKey is not allowed"), "{}", told.err);
    assert!(!told.err.contains("kms:ListKeys is not allowed"), "{}", told.err);
    let json = account.plinth(&["check", "--permissions", "--json"]).expect(1);
    let event: serde_json::Value = serde_json::from_str(json.out.trim()).unwrap();
    assert!(event["missing"].as_array().unwrap().iter().any(|one| one["action"] == "kms:CreateKey"));

    // The role may.
    account.assume("plinth");
    let told = account.plinth(&["check", "--permissions"]).expect(0);
    assert!(told.err.contains("all of this is allowed"), "{}", told.err);
}

#[test]
fn a_stack_is_applied_in_the_role_that_it_names() {
    let Some(account) = Account::new() else { return };
    account.assume("plinth");
    account.plinth(&["apply", "--yes"]).expect(0);
    account.plinth(&["plan", "--refresh", "always"]).expect(0);
    account.plinth(&["destroy", "--yes"]).expect(0);
    // Another account is refused, and who was refused is the role.
    account.sandbox.edit("stacks/mine.yaml", "accountId: \"000000000000\"", "accountId: \"210987654321\"");
    let refused = account.plinth(&["apply", "--yes"]).expect(1);
    assert!(refused.err.contains("assumed-role/plinth"), "{}", refused.err);
}

#[test]
fn roles_and_profiles_that_do_not_exist_are_named() {
    let Some(account) = Account::new() else { return };
    account.sandbox.edit("stacks/mine.yaml", "region: eu-central-1", "region: eu-central-1, profile: ops");
    // A profile that is named counts, whoever the environment says one is.
    let unknown = account.plinth(&["apply", "--yes"]).expect(1);
    assert!(unknown.err.contains("profile `ops`"), "the profile is named: {}", unknown.err);
    let credentials =
        format!("[ops]\naws_access_key_id = {}\naws_secret_access_key = {}\n", account.id, account.secret);
    account.sandbox.write(".aws/credentials", credentials);
    account.plinth_with(&["plan"], &[]).expect(2);
    account.assume("nobody");
    // As AWS answers whether there is no such role or it may not be assumed.
    let front = Eks::before(&account.server.url());
    front.judge(|call| match call.service.as_str() {
        "sts" => {
            let said = "User: arn:aws:iam::000000000000:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role/nobody";
            AwsFault::Refuse(403, "AccessDenied", said.to_owned())
        }
        _ => AwsFault::Pass,
    });
    let missing = account.plinth_with(&["apply", "--yes"], &[("AWS_ENDPOINT_URL", &front.url())]).expect(1);
    for words in ["role/nobody cannot be assumed", "sts:AssumeRole on resource", "mine.yaml:4:"] {
        assert!(missing.err.contains(words), "{words}: {}", missing.err);
    }
}

#[test]
fn a_region_that_is_none_is_refused_in_the_stack_file() {
    let sandbox = Sandbox::new();
    sandbox.write("stacks/mine.yaml", STACK.replace("eu-central-1", "eu-central"));
    let refused = sandbox.plinth(&["plan", "-s", "mine"]).expect(1);
    assert!(refused.err.contains("eu-central") && refused.err.contains("mine.yaml:4:"), "{}", refused.err);
}

#[test]
fn an_address_that_nothing_answers_at_is_told_soon() {
    let sandbox = Sandbox::new();
    sandbox.write("stacks/mine.yaml", STACK);
    let began = std::time::Instant::now();
    let mut command = sandbox.command(&["apply", "--yes", "-s", "mine"]);
    // A port that nobody listens on.
    command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
    let ran = Ran::of(command.output().unwrap()).expect(1);
    assert!(ran.err.contains("no answer") && ran.err.contains("eu-central-1"), "{}", ran.err);
    assert!(began.elapsed().as_secs() < 45, "{:?}", began.elapsed());
}
