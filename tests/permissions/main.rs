//! Permissions, proven by running: every call that a function makes on the local stack, and every call that an AWS service
//! makes in the name of a role, is allowed by the policies as deployed; and every right that they grant is used by one.
//!
//! 1. `exercise.rs` lets every function make its calls, and `record.rs` writes down who makes which.
//! 2. `actions.json` says which IAM actions a call needs, with the page that says so.
//! 3. `services.json` lists what AWS services do with the roles, which no function calls and no definition names.
//! 4. `simulate.mjs` evaluates each action, with its resource and conditions, against the policies of three stacks.
//! 5. `escaped.rs` evaluates what a build can do that has escaped: the list in THREATS.md (`make escaped-build`).

mod deployed;
mod escaped;
mod exercise;
#[path = "../shared/functions.rs"]
mod functions;
#[path = "../shared/process_of_peer.rs"]
mod process_of_peer;
mod proof;
#[path = "../shared/proxy.rs"]
mod proxy;
mod record;
mod simulator;
mod table;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use local::deploy;

use deployed::Deployed;
use exercise::Fixture;

/// The parameter sets: a name and the parameters besides those that have no default.
const SETS: [(&str, &[&str]); 3] = [
    ("default", &[]),
    (
        "kms",
        &[
            "KmsKeyArn=arn:aws:kms:us-east-1:000000000000:key/01234567-89ab-cdef-0123-456789abcdef",
            "KafkaUrl=broker-1.example.org:9093",
            "KafkaClientCertificateSecretArn=arn:aws:secretsmanager:us-east-1:000000000000:secret:kafka-client-a1b2c3",
            "KafkaServerCaSecretArn=arn:aws:secretsmanager:us-east-1:000000000000:secret:kafka-ca-a1b2c3",
            "KafkaSubnetIds=subnet-1,subnet-2",
            "KafkaSecurityGroupIds=sg-1",
            "MinimumPollers=1",
        ],
    ),
    (
        "pollers",
        &[
            "KafkaClusterArn=arn:aws:kafka:us-east-1:000000000000:cluster/bus/01234567-89ab-cdef-0123-456789abcdef-1",
            "KafkaConsumerGroup=marathon-match",
            "MinimumPollers=1",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_call_is_allowed_and_every_right_is_used() -> Result<()> {
    let fixture = Fixture::start().await?;
    let problems = problems(&fixture).await;
    fixture.stack.stop().await;
    let problems = problems?;
    ensure!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    Ok(())
}

/// Writes what an escaped build can do into THREATS.md.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it writes: make escaped-build"]
async fn write_what_an_escaped_build_can_do() -> Result<()> {
    let fixture = Fixture::start().await?;
    let list = async { escaped::list(&deploy_sets(&fixture).await?).await }.await;
    fixture.stack.stop().await;
    escaped::write(&list?)
}

async fn problems(fixture: &Fixture) -> Result<Vec<String>> {
    let (recorded, stacks) = tokio::try_join!(exercise::all(fixture), deploy_sets(fixture))?;
    let own = Deployed::read(&fixture.stack.clients, "recorded", deploy::STACK, None).await?;
    let mut problems = proof::problems(&recorded, &own, &stacks).await?;
    problems.extend(escaped::problem(&escaped::list(&stacks).await?)?);
    Ok(problems)
}

async fn deploy_sets(fixture: &Fixture) -> Result<Vec<Deployed>> {
    try_join_all(SETS.map(|(name, parameters)| deploy_set(fixture, name, parameters))).await
}

async fn deploy_set(fixture: &Fixture, name: &str, parameters: &[&str]) -> Result<Deployed> {
    let stack = format!("permissions-{name}");
    let common = [
        "SubmissionApiUrl=https://api.example.org/v5".to_owned(),
        "Auth0Url=https://auth.example.org/oauth/token".to_owned(),
        "Auth0Audience=audience".to_owned(),
        format!("Auth0SecretArn={}", fixture.auth0_secret),
        format!("InputS3Bucket={}", deploy::INPUT_BUCKET),
        format!("OutputS3Bucket={}", deploy::OUTPUT_BUCKET),
    ];
    let own = parameters.iter().map(|&parameter| parameter.to_owned());
    let all: Vec<String> = common.into_iter().chain(own).collect();
    let clients = &fixture.stack.clients;
    deployed::again(clients, &stack, &all).await?;
    let key = parameters.iter().find_map(|parameter| parameter.strip_prefix("KmsKeyArn="));
    Deployed::read(clients, name, &stack, key).await
}
