//! What is checked before anything is started.

use anyhow::Result;
use aws_sdk_kms::types::KeyState;
use aws_sdk_lambda::types::EventSourceMappingConfiguration;
use domain::{ChallengeId, Coded, FailureCode, SubmissionId};
use runtime::CallFailed;

use super::VerificationRun;
use super::checklist::Verdict;
use super::deployment::Deployment;
use super::prerequisites::{self, FunctionState};
use super::submission;

impl VerificationRun {
    /// Everything that changes nothing. Returns the SSM parameter of the test challenge if the submissions may run.
    pub(super) async fn before(&mut self) -> Result<Option<String>> {
        self.prerequisites().await;
        let challenge = self.test_challenge().await;
        for (name, id) in [("good-first-run", self.good.clone()), ("broken-first-run", self.broken.clone())] {
            self.check(name, async |deployment| {
                Ok(if submission::exists(deployment, &id).await? {
                    Verdict::failed(
                        format!("{id} has run before, and an id runs once"),
                        "Upload the sample again and use the new id.",
                    )
                } else {
                    Verdict::passed(format!("{id} has not run"))
                })
            })
            .await;
        }
        let parameter = challenge.map(|challenge| format!("/{}/challenges/{challenge}", self.deployment.stack.name));
        Ok(parameter.filter(|_| !self.list.has_failed()))
    }

    async fn prerequisites(&mut self) {
        self.functions_and_source().await;
        self.quotas().await;
        self.secrets().await;
        self.data_and_logs().await;
    }

    async fn functions_and_source(&mut self) {
        self.check("functions", async |deployment| {
            let mut states = Vec::new();
            for part in prerequisites::FUNCTIONS {
                let name = deployment.stack.function(part);
                let found = deployment.stack.lambda.get_function_configuration().function_name(&name).send().await;
                let found = found.map_err(|error| CallFailed::new("Lambda", "GetFunctionConfiguration", &error))?;
                states.push(FunctionState { name, state: found.state, last_update: found.last_update_status });
            }
            Ok(prerequisites::functions(&states))
        })
        .await;
        self.check("event-source", async |deployment| Ok(prerequisites::event_source(&mappings(deployment).await?)))
            .await;
    }

    async fn quotas(&mut self) {
        self.check("concurrency", async |deployment| {
            let account = deployment.stack.lambda.get_account_settings().send().await;
            let account = account.map_err(|error| CallFailed::new("Lambda", "GetAccountSettings", &error))?;
            Ok(prerequisites::concurrency(account.account_limit.map(|limit| limit.concurrent_executions)))
        })
        .await;
        self.check("build-quota", async |deployment| {
            let codebuild = aws_sdk_codebuild::Client::new(&deployment.stack.aws);
            let projects = codebuild.batch_get_projects().names(&deployment.build_project).send().await;
            let projects = projects.map_err(|error| CallFailed::new("CodeBuild", "BatchGetProjects", &error))?;
            let environment = projects.projects().first().and_then(|project| project.environment());
            let machine =
                environment.map_or("BUILD_GENERAL1_MEDIUM", |environment| environment.compute_type().as_str());
            let name = build_quota(machine);
            Ok(prerequisites::quota(&name, quota(deployment, "codebuild", &name).await?))
        })
        .await;
        self.check("training-quota", async |deployment| {
            let name = format!("{} for training job usage", deployment.training.instance_type);
            Ok(prerequisites::quota(&name, quota(deployment, "sagemaker", &name).await?))
        })
        .await;
    }

    async fn secrets(&mut self) {
        self.check("api-credentials", async |deployment| {
            let text = secret(deployment, &deployment.auth0_secret).await?;
            Ok(prerequisites::secret(text.as_deref(), &["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"]))
        })
        .await;
        self.check("api-keys", async |deployment| {
            Ok(prerequisites::api_keys(secret(deployment, &deployment.api_keys_secret).await?.as_deref()))
        })
        .await;
        self.check("kafka-secret", async |deployment| {
            let mappings = mappings(deployment).await?;
            let accesses = mappings.iter().flat_map(EventSourceMappingConfiguration::source_access_configurations);
            let certificate = accesses
                .filter(|access| access.r#type().is_some_and(|kind| kind.as_str() == "CLIENT_CERTIFICATE_TLS_AUTH"));
            let mut uris = certificate.filter_map(|access| access.uri());
            let Some(arn) = uris.next() else {
                return Ok(Verdict::skipped("no event source mapping uses a client certificate"));
            };
            let text = secret(deployment, arn).await?;
            Ok(prerequisites::secret(text.as_deref(), &["certificate", "privateKey"]))
        })
        .await;
    }

    async fn data_and_logs(&mut self) {
        self.check("training-data", async |deployment| {
            let uri = deployment.training.input.as_str();
            let (bucket, prefix) = uri.trim_start_matches("s3://").split_once('/').unwrap_or((uri, ""));
            let listed = deployment.stack.s3.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1).send().await;
            let listed = listed.map_err(|error| CallFailed::new("S3", "ListObjectsV2", &error))?;
            Ok(prerequisites::training_data(listed.contents().len(), uri))
        })
        .await;
        self.check("output-retention", async |deployment| {
            let bucket = &deployment.output_bucket;
            let rules = deployment.stack.s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
            let is_limited = match rules {
                Ok(rules) => !rules.rules().is_empty(),
                Err(error) => {
                    let failed = CallFailed::new("S3", "GetBucketLifecycleConfiguration", &error);
                    if failed.code != "NoSuchLifecycleConfiguration" {
                        return Err(failed);
                    }
                    false
                }
            };
            let to_do = "Set a lifecycle if models may be deleted: docs/operating.md shows the command.";
            Ok(prerequisites::retention("outcomes and models", is_limited, to_do))
        })
        .await;
        self.check("training-log-retention", async |deployment| {
            let logs = aws_sdk_cloudwatchlogs::Client::new(&deployment.stack.aws);
            let group = "/aws/sagemaker/TrainingJobs";
            let groups = logs.describe_log_groups().log_group_name_prefix(group).send().await;
            let groups = groups.map_err(|error| CallFailed::new("CloudWatch Logs", "DescribeLogGroups", &error))?;
            let found = groups.log_groups().iter().find(|found| found.log_group_name() == Some(group));
            let to_do = "Set a retention: docs/operating.md shows the command.";
            Ok(match found {
                Some(found) => {
                    prerequisites::retention("logs of training jobs", found.retention_in_days().is_some(), to_do)
                }
                None => Verdict::warned(
                    format!("there is no log group {group} yet"),
                    "Set its retention after the first job.",
                ),
            })
        })
        .await;
        self.check("kms-key", async |deployment| {
            let Some(key) = &deployment.training.kms_key else {
                return Ok(Verdict::skipped("KmsKeyArn is empty: AWS's own keys encrypt everything"));
            };
            let kms = aws_sdk_kms::Client::new(&deployment.stack.aws);
            let found = kms.describe_key().key_id(key).send().await;
            let found = found.map_err(|error| CallFailed::new("KMS", "DescribeKey", &error))?;
            let state = found.key_metadata.and_then(|key| key.key_state);
            Ok(prerequisites::key(state.as_ref().map(KeyState::as_str)))
        })
        .await;
    }

    /// The challenge of both submissions, if only their participant takes part in it.
    async fn test_challenge(&mut self) -> Option<ChallengeId> {
        let api = &self.deployment.api;
        let read = async |id: &SubmissionId| api.call(async |api| api.submission(id).await).await;
        let (good, broken) = match (read(&self.good).await, read(&self.broken).await) {
            (Ok(good), Ok(broken)) => (good, broken),
            (Err(error), _) | (_, Err(error)) => {
                self.list.add("test-challenge", unreadable(error.code()));
                return None;
            }
        };
        let own = "Upload both samples as one participant to a challenge with no other participant.";
        let challenge = good.challenge_id.as_deref().filter(|_| good.challenge_id == broken.challenge_id);
        let challenge = challenge.and_then(|id| id.parse::<ChallengeId>().ok());
        let Some(challenge) = challenge else {
            self.list.add("test-challenge", Verdict::failed("the submissions are not of one challenge", own));
            return None;
        };
        let members = match api.call(async |api| api.members_of(challenge.as_str()).await).await {
            Ok(members) => members,
            Err(error) => {
                self.list.add("test-challenge", unreadable(error.code()));
                return None;
            }
        };
        let verdict = match members.len() {
            0 | 1 => Verdict::passed(format!("only one participant takes part in {challenge}")),
            others => Verdict::failed(format!("{others} participants take part in {challenge}"), own),
        };
        self.list.add("test-challenge", verdict);
        Some(challenge)
    }
}

/// The Submission API did not give the submissions. Its errors are written for the functions, so only their codes are shown.
fn unreadable(code: FailureCode) -> Verdict {
    let found = format!("the submissions could not be read from the Submission API: {code}");
    let to_do = if code == FailureCode::SubmissionNotFound {
        "Upload samples/submissions/regression and samples/submissions/failing-training, and use their ids: see docs/deploying.md, step 10."
    } else {
        "docs/troubleshooting.md explains the code."
    };
    Verdict::failed(found, to_do)
}

/// The name of the quota of builds that run at once on machines of this type.
fn build_quota(machine: &str) -> String {
    let size = match machine.strip_prefix("BUILD_GENERAL1_").unwrap_or(machine) {
        "SMALL" => "Small",
        "MEDIUM" => "Medium",
        "LARGE" => "Large",
        "XLARGE" => "XLarge",
        "2XLARGE" => "2XLarge",
        other => other,
    };
    format!("Concurrently running builds for Linux/{size} environment")
}

async fn mappings(deployment: &Deployment) -> Result<Vec<EventSourceMappingConfiguration>, CallFailed> {
    let listed = deployment.stack.lambda.list_event_source_mappings();
    let listed = listed.function_name(deployment.stack.function("intake")).send().await;
    let listed = listed.map_err(|error| CallFailed::new("Lambda", "ListEventSourceMappings", &error))?;
    Ok(listed.event_source_mappings.unwrap_or_default())
}

async fn secret(deployment: &Deployment, id: &str) -> Result<Option<String>, CallFailed> {
    let secret = deployment.secrets.get_secret_value().secret_id(id).send().await;
    secret
        .map(|secret| secret.secret_string)
        .map_err(|error| CallFailed::new("Secrets Manager", "GetSecretValue", &error))
}

/// The applied value of a service's quota with this name.
async fn quota(deployment: &Deployment, service: &str, name: &str) -> Result<Option<f64>, CallFailed> {
    let quotas = aws_sdk_servicequotas::Client::new(&deployment.stack.aws);
    let mut pages = quotas.list_service_quotas().service_code(service).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| CallFailed::new("Service Quotas", "ListServiceQuotas", &error))?;
        if let Some(quota) = page.quotas().iter().find(|quota| quota.quota_name() == Some(name)) {
            return Ok(quota.value());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::{Duration, SystemTime};

    use testing::server::{Reply, Request, Server};

    use crate::deployed::DeployedStack;
    use crate::verify::checklist::Checklist;
    use crate::verify::deployment::{Filter, Report, Training};

    /// Denies every call in the form of its service.
    fn denied(request: &Request, _: usize) -> Reply {
        let is_xml = request.header("x-amz-target").is_none() && !request.line.contains(" /20");
        let (kind, body) = if is_xml {
            ("", "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".to_owned())
        } else {
            ("x-amzn-errortype: AccessDeniedException\r\n", r#"{"__type": "AccessDeniedException"}"#.to_owned())
        };
        Reply::Raw(
            format!("HTTP/1.1 403 X\r\n{kind}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    }

    fn run(url: &str) -> VerificationRun {
        let aws = testing::aws::sending_to(url);
        let secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mm/auth0-a1b2c3";
        let variables: runtime::settings::Variables = [
            ("SUBMISSION_API_URL", "https://api.example.org/v5"),
            ("AUTH0_URL", "https://auth.example.org/oauth/token"),
            ("AUTH0_AUDIENCE", "https://m2m.example.org/"),
        ]
        .into_iter()
        .collect();
        let secrets = aws_sdk_secretsmanager::Client::new(&aws);
        let settings = submission_api::Settings::read(&variables).unwrap();
        let s3 = aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build();
        let deployment = Deployment {
            sfn: aws_sdk_sfn::Client::new(&aws),
            api: submission_api::SignedIn::new(secrets.clone(), secret.parse().unwrap(), settings),
            secrets,
            state_machine: "arn:aws:states:us-east-1:123456789012:stateMachine:mm-processing".to_owned(),
            output_bucket: "out".to_owned(),
            build_project: "mm-build".to_owned(),
            auth0_secret: secret.to_owned(),
            api_keys_secret: "keys".to_owned(),
            filter: Filter {
                original_topic: "o".to_owned(),
                type_id: "t".to_owned(),
                score: "100".to_owned(),
                resource: "review".to_owned(),
            },
            report: Report::Nowhere,
            training: Training {
                instance_type: "ml.m5.large".to_owned(),
                input: "s3://in/training/".to_owned(),
                kms_key: Some("arn:aws:kms:us-east-1:123456789012:key/1".to_owned()),
            },
            stack: DeployedStack {
                name: "mm".to_owned(),
                lambda: aws_sdk_lambda::Client::new(&aws),
                s3: aws_sdk_s3::Client::from_conf(s3),
                aws,
            },
        };
        VerificationRun {
            deployment,
            good: "_9VOLnz2XYZv8J".parse().unwrap(),
            broken: "-kJ-nOos4KQaL3".parse().unwrap(),
            limit: Duration::from_secs(1),
            begun: SystemTime::UNIX_EPOCH,
            list: Checklist::new(true),
        }
    }

    #[tokio::test]
    async fn each_denied_call_names_its_action_and_nothing_is_started() {
        let server = Server::start(denied).await;
        let mut run = run(&server.url);
        assert_eq!(run.before().await.unwrap(), None, "the submissions may not run");
        let found: Vec<(&str, &str)> = run
            .list
            .checks()
            .iter()
            .map(|check| match &check.verdict {
                Verdict::Failed { found, .. } => (check.name, found.as_str()),
                other => panic!("{}: {other:?}", check.name),
            })
            .collect();
        let denied = [
            ("functions", "lambda:GetFunctionConfiguration is denied"),
            ("event-source", "lambda:ListEventSourceMappings is denied"),
            ("concurrency", "lambda:GetAccountSettings is denied"),
            ("build-quota", "codebuild:BatchGetProjects is denied"),
            ("training-quota", "servicequotas:ListServiceQuotas is denied"),
            ("api-credentials", "secretsmanager:GetSecretValue is denied"),
            ("api-keys", "secretsmanager:GetSecretValue is denied"),
            ("kafka-secret", "lambda:ListEventSourceMappings is denied"),
            ("training-data", "s3:ListBucket is denied"),
            ("output-retention", "s3:GetLifecycleConfiguration is denied"),
            ("training-log-retention", "logs:DescribeLogGroups is denied"),
            ("kms-key", "kms:DescribeKey is denied"),
        ];
        assert_eq!(found[..denied.len()], denied);
        let (name, problem) = found[denied.len()];
        assert!(name == "test-challenge" && problem.ends_with("Submission API: Internal"), "{problem}");
        assert_eq!(
            found[denied.len() + 1..],
            ["good-first-run", "broken-first-run"].map(|name| (name, "states:DescribeExecution is denied"))
        );
    }

    #[test]
    fn the_quota_of_builds_has_the_name_that_aws_gives_it() {
        assert_eq!(build_quota("BUILD_GENERAL1_MEDIUM"), "Concurrently running builds for Linux/Medium environment");
        assert_eq!(build_quota("BUILD_GENERAL1_2XLARGE"), "Concurrently running builds for Linux/2XLarge environment");
    }
}
