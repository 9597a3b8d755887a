//! What an account does with the template and an emulator does not: the order of creation, second tries, replacements, rights
//! that services check, and names that services refuse.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod attributes;
#[cfg(feature = "stack")]
mod installed;
mod order;
mod parsed;
mod replacement;
#[path = "../shared/sources.rs"]
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use parsed::Template;
use replacement::{DATA, Effect, create_only};
use serde_json::{Value, json};

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn everything_is_created_after_all_rights_of_its_role() {
    let template = Template::of_project();
    for (resource, role) in [
        ("ProcessingStateMachine", "ProcessingRole"),
        ("ScoringStateMachine", "ScoringRole"),
        ("IntakeFromMsk", "IntakeRole"),
        ("IntakeFromKafka", "IntakeRole"),
        ("DiagnoseFunction", "DiagnoseRole"),
        ("ClaimFunction", "ClaimRole"),
        ("ReportFunction", "ReportRole"),
        ("BuildProject", "BuildRole"),
    ] {
        assert!(template.roles_of(resource).contains(role), "{role} was not found as the role of {resource}");
    }
    assert_eq!(template.too_early(), <[String; 0]>::default());
}

/// A rollback deletes what a first deployment created, except what is retained. `RetainExceptOnCreate` retains only what a
/// deployment finished: <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html>.
#[test]
fn a_rollback_leaves_nothing_and_a_deletion_leaves_data() {
    let mut retained = BTreeSet::new();
    for (name, resource) in Template::of_project().resources() {
        let policies = (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]);
        if policies != (&Value::Null, &Value::Null) {
            assert_eq!(policies, (&json!("RetainExceptOnCreate"), &json!("Retain")), "{name}");
            retained.insert(name.clone());
        }
        let holds_results = ["AWS::S3::Bucket", "AWS::DynamoDB::Table"].iter().any(|kind| resource["Type"] == *kind);
        assert_eq!(retained.contains(name), holds_results, "{name}");
    }
    assert_eq!(retained.len(), 4, "{retained:?}");
}

/// Names that stay taken after their resource is deleted from the stack: while it is retained; for 60 seconds for a queue,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteQueue.html>; and for a while for a secret,
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html>.
#[test]
fn no_name_that_stays_taken_is_fixed() {
    for (name, resource) in Template::of_project().resources() {
        let kind = resource["Type"].as_str().unwrap();
        let stays = ["AWS::SQS::Queue", "AWS::SecretsManager::Secret"].contains(&kind);
        if stays || resource["DeletionPolicy"].is_string() {
            for property in create_only(kind).iter().filter(|property| property.contains("Name")) {
                assert!(resource["Properties"][property].is_null(), "{name} has a fixed {property}");
            }
        }
    }
}

/// The rows of a table in the section of a page with this heading.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let page = read(page);
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("there is no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// The names between backticks.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_documentation_lists_what_a_changed_parameter_replaces() {
    let mut documented: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for row in rows("docs/operating.md", "## Change a parameter") {
        let [parameters, effect, resources, _] = row.as_slice() else { panic!("{row:?} has not four cells") };
        for parameter in quoted(parameters) {
            let effects = documented.entry(parameter).or_default();
            effects.extend(quoted(resources).into_iter().map(|resource| (effect.clone(), resource)));
        }
    }
    let of_template: BTreeMap<String, BTreeSet<(String, String)>> = Template::of_project()
        .effects()
        .into_iter()
        .map(|(parameter, effects)| {
            (parameter, effects.into_iter().map(|(effect, on)| (effect.word().to_owned(), on)).collect())
        })
        .collect();
    assert!(of_template.contains_key("KafkaClusterArn"), "{of_template:?}");
    assert_eq!(documented, of_template);
}

/// A redriven execution keeps its definition, and with it the parameters that deployment puts into it:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>.
#[test]
fn the_documentation_lists_what_a_redriven_execution_keeps() {
    let template = Template::of_project();
    let substitutions = &template.resources()["ProcessingStateMachine"]["Properties"]["DefinitionSubstitutions"];
    let rows = rows("docs/operating.md", "## Redrive a failed execution");
    let kept = rows.iter().find(|row| row[1] == "the old one").unwrap();
    assert_eq!(quoted(&kept[0]), template.parameters_in(substitutions));
}

#[test]
fn no_parameter_replaces_or_deletes_data() {
    let template = Template::of_project();
    let is_data = |name: &str| DATA.contains(&template.resources()[name]["Type"].as_str().unwrap());
    assert!(
        is_data("SubmissionsTable") && is_data("ScoringBucket") && is_data("ApiKeysSecret") && is_data("FetchLogGroup")
    );
    for (parameter, effects) in template.effects() {
        for (effect, resource) in effects {
            assert!(
                effect == Effect::NotChanged || !is_data(&resource),
                "{parameter}: {resource} is {}",
                effect.word()
            );
        }
    }
}

/// A redriven execution needs what its first steps made. It can be redriven for 14 days after its end:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html>.
#[test]
fn nothing_that_a_redrive_needs_expires() {
    let definition: Value = serde_json::from_str(&read("statemachine/processing.asl.json")).unwrap();
    let days = definition["TimeoutSeconds"].as_u64().unwrap() / (24 * 3600) + 14;
    let template = Template::of_project();
    for parameter in ["ImageRetentionDays", "StagingRetentionDays"] {
        assert_eq!(template.parameter(parameter)["MinValue"], days, "{parameter}");
    }
}

/// All statements of a role, whatever condition they depend on.
fn statements<'a>(template: &'a Template, role: &str) -> Vec<&'a Value> {
    let policies = template.resources()[role]["Properties"]["Policies"].as_array().unwrap();
    let statements = policies.iter().flat_map(|policy| policy["PolicyDocument"]["Statement"].as_array().unwrap());
    statements
        .map(|statement| match &statement["Fn::If"] {
            Value::Array(arguments) => &arguments[1],
            _ => statement,
        })
        .collect()
}

fn actions(statement: &Value) -> Vec<&str> {
    match &statement["Action"] {
        Value::String(action) => vec![action],
        actions => actions.as_array().unwrap().iter().map(|action| action.as_str().unwrap()).collect(),
    }
}

/// Rights that no call of a test needs, and the page that asks for them.
#[test]
fn roles_have_the_rights_that_services_document() {
    let template = Template::of_project();
    let documented: [(&str, &str, &[&str]); 4] = [
        (
            "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html",
            "BuildRole",
            &[
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:CompleteLayerUpload",
                "ecr:GetAuthorizationToken",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ],
        ),
        (
            "https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html",
            "BuildRole",
            &["s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketAcl", "s3:GetBucketLocation"],
        ),
        (
            "https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms",
            "TrainingRole",
            &[
                "cloudwatch:PutMetricData",
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetAuthorizationToken",
                "ecr:GetDownloadUrlForLayer",
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:Encrypt",
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
                "s3:GetObject",
                "s3:ListBucket",
                "s3:PutObject",
            ],
        ),
        (
            "https://docs.aws.amazon.com/lambda/latest/dg/with-msk-permissions.html",
            "IntakeRole",
            &[
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeVpcs",
                "kafka-cluster:AlterGroup",
                "kafka-cluster:Connect",
                "kafka-cluster:DescribeClusterDynamicConfiguration",
                "kafka-cluster:DescribeGroup",
                "kafka-cluster:DescribeTopic",
                "kafka-cluster:ReadData",
                "kafka:DescribeClusterV2",
                "kafka:GetBootstrapBrokers",
                "secretsmanager:GetSecretValue",
            ],
        ),
    ];
    for (page, role, rights) in documented {
        let granted: BTreeSet<&str> = statements(&template, role).into_iter().flat_map(actions).collect();
        for right in rights {
            assert!(granted.contains(right), "{role} lacks {right}, see {page}");
        }
    }
}

/// With `KmsKeyArn`, every object is encrypted with this key, and S3 uses it with the caller's rights:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>.
#[test]
fn who_may_use_an_object_may_use_its_key() {
    let template = Template::of_project();
    let mut users = BTreeSet::new();
    for (role, _) in template.resources().iter().filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
        let statements = statements(&template, role);
        let granted: BTreeSet<&str> = statements.iter().copied().flat_map(actions).collect();
        let of_key: BTreeSet<&str> = statements
            .iter()
            .filter(|statement| statement["Resource"] == json!({ "Ref": "KmsKeyArn" }))
            .flat_map(|statement| actions(statement))
            .collect();
        for (object, key) in [("s3:GetObject", "kms:Decrypt"), ("s3:PutObject", "kms:GenerateDataKey")] {
            if granted.contains(object) {
                assert!(of_key.contains(key), "{role} may {object}, and lacks {key} on KmsKeyArn");
                users.insert(role.as_str());
            }
        }
    }
    assert!(users.contains("ReportRole") && users.contains("TrainingRole") && users.contains("BuildRole"), "{users:?}");
}

/// A secret that a customer's key encrypts is decrypted with the caller's rights:
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html>.
#[test]
fn who_may_read_a_secret_may_decrypt_it() {
    let template = Template::of_project();
    let mut readers = BTreeSet::new();
    for (role, _) in template.resources().iter().filter(|(_, resource)| resource["Type"] == "AWS::IAM::Role") {
        let statements = statements(&template, role);
        for read in statements.iter().filter(|statement| actions(statement) == ["secretsmanager:GetSecretValue"]) {
            // The stack's own secret has the key of AWS.
            if read["Resource"] == json!({ "Ref": "ApiKeysSecret" }) {
                continue;
            }
            let decrypts = |statement: &&Value| {
                actions(statement) == ["kms:Decrypt"]
                    && statement["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == read["Resource"]
                    && statement["Condition"]["StringEquals"]["kms:ViaService"].is_object()
            };
            assert!(statements.iter().any(decrypts), "{role} may not decrypt {}", read["Resource"]);
            readers.insert(role.as_str());
        }
    }
    assert_eq!(readers, BTreeSet::from(["FetchRole", "IntakeRole", "ReportRole"]));
}

#[test]
fn each_stack_reads_every_message_of_its_topic() {
    let template = Template::of_project();
    assert_eq!(template.default_of("KafkaConsumerGroup"), "");
    let group =
        json!({ "Fn::If": ["NamesConsumerGroup", { "Ref": "KafkaConsumerGroup" }, { "Ref": "AWS::StackName" }] });
    let mappings: Vec<&Value> = template
        .resources()
        .values()
        .filter(|resource| resource["Type"] == "AWS::Lambda::EventSourceMapping")
        .collect();
    assert_eq!(mappings.len(), 2);
    for mapping in mappings {
        let properties = &mapping["Properties"];
        let config = ["AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"]
            .into_iter()
            .find_map(|name| properties.get(name));
        assert_eq!(config.unwrap()["ConsumerGroupId"], group);
        assert_eq!(properties["StartingPosition"], json!({ "Ref": "KafkaStartingPosition" }));
    }
    // LATEST can miss records: https://docs.aws.amazon.com/lambda/latest/dg/kafka-starting-positions.html
    assert_eq!(template.parameter("KafkaStartingPosition")["AllowedValues"], json!(["TRIM_HORIZON", "AT_TIMESTAMP"]));
}

/// Lambda counts lines of metrics as INFO, and TRACE logs whole requests:
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
#[test]
fn no_log_level_silences_metrics_or_logs_keys() {
    assert_eq!(Template::of_project().parameter("LogLevel")["AllowedValues"], json!(["DEBUG", "INFO"]));
}

/// A new account may run 10 functions at once and has to leave 100 unreserved:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html>.
#[test]
fn the_defaults_reserve_no_concurrency() {
    let template = Template::of_project();
    assert_eq!(template.default_of("SubmitConcurrency"), 0);
    for (name, resource) in template.resources() {
        let reserved = &resource["Properties"]["ReservedConcurrentExecutions"];
        let is_chosen =
            reserved["Fn::If"][0] == "LimitsSubmit" && template.parameters_in(reserved).contains("SubmitConcurrency");
        assert!(reserved.is_null() || is_chosen, "{name} reserves {reserved}");
    }
}

#[test]
fn an_alarm_watches_every_end_of_every_state_machine_but_success() {
    let template = Template::of_project();
    let of_type =
        |kind: &'static str| template.resources().iter().filter(move |(_, resource)| resource["Type"] == kind);
    for (machine, _) in of_type("AWS::Serverless::StateMachine") {
        for metric in ["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] {
            let is_of_machine = |alarm: &Value| {
                let dimension = json!([{ "Name": "StateMachineArn", "Value": { "Ref": machine } }]);
                alarm["MetricName"] == metric && alarm["Dimensions"] == dimension
            };
            let watched = of_type("AWS::CloudWatch::Alarm").any(|(_, alarm)| is_of_machine(&alarm["Properties"]));
            assert!(watched, "no alarm watches {metric} of {machine}");
        }
    }
}
