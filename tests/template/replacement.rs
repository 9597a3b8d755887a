//! What a change of a parameter replaces, creates or deletes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::parsed::Template;

/// The properties whose change replaces a resource, `createOnlyProperties` of its type. The page of a type, such as
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-eventsourcemapping.html>, says
/// "Update requires: Replacement" for them.
pub(crate) const CREATE_ONLY: [(&str, &[&str]); 17] = [
    ("AWS::CloudWatch::Alarm", &["AlarmName"]),
    ("AWS::CloudWatch::Dashboard", &["DashboardName"]),
    ("AWS::CodeBuild::Project", &["Name"]),
    ("AWS::DynamoDB::Table", &["ImportSourceSpecification", "KeySchema", "TableName"]),
    ("AWS::Events::Rule", &["EventBusName", "Name"]),
    ("AWS::IAM::Role", &["Path", "RoleName"]),
    (
        "AWS::Lambda::EventSourceMapping",
        &["EventSourceArn", "SelfManagedEventSource", "StartingPosition", "StartingPositionTimestamp"],
    ),
    ("AWS::Lambda::Function", &["DurableConfig", "FunctionName", "PackageType", "TenancyConfig"]),
    (
        "AWS::Lambda::Permission",
        &[
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "InvokedViaFunctionUrl",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        ],
    ),
    ("AWS::Logs::LogGroup", &["LogGroupName"]),
    ("AWS::S3::Bucket", &["BucketName", "BucketNamePrefix", "BucketNamespace"]),
    ("AWS::S3::BucketPolicy", &["Bucket"]),
    ("AWS::SNS::Topic", &["FifoTopic", "TopicName"]),
    ("AWS::SQS::Queue", &["FifoQueue", "QueueName"]),
    ("AWS::SQS::QueuePolicy", &[]),
    ("AWS::SecretsManager::Secret", &["Name"]),
    ("AWS::StepFunctions::StateMachine", &["StateMachineName", "StateMachineType"]),
];

/// What Lambda does not change in an event source mapping, although CloudFormation does not replace it:
/// <https://docs.aws.amazon.com/lambda/latest/dg/kafka-consumer-group-id.html> and
/// <https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/2140>.
const NOT_CHANGED: [&str; 3] = ["AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig", "Topics"];

/// The types whose resources hold what cannot be made again.
pub(crate) const DATA: [&str; 4] =
    ["AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"];

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(crate) enum Effect {
    Replaced,
    NotChanged,
    CreatedOrDeleted,
}

impl Effect {
    /// The word in the table of the documentation.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::NotChanged => "not changed",
            Self::CreatedOrDeleted => "created or deleted",
        }
    }
}

/// The type that CloudFormation creates, and its name for a property.
fn created_type(kind: &str) -> &str {
    match kind {
        "AWS::Serverless::Function" => "AWS::Lambda::Function",
        "AWS::Serverless::StateMachine" => "AWS::StepFunctions::StateMachine",
        other => other,
    }
}

fn property_of<'a>(resource: &'a Value, property: &str) -> &'a Value {
    let name = match (resource["Type"].as_str(), property) {
        (Some("AWS::Serverless::StateMachine"), "StateMachineName") => "Name",
        (Some("AWS::Serverless::StateMachine"), "StateMachineType") => "Type",
        _ => property,
    };
    &resource["Properties"][name]
}

pub(crate) fn create_only(kind: &str) -> &'static [&'static str] {
    let found = CREATE_ONLY.iter().find(|(known, _)| *known == created_type(kind));
    found.unwrap_or_else(|| panic!("CREATE_ONLY lacks {kind}")).1
}

impl Template {
    /// For every parameter, what its change does to which resource.
    pub(crate) fn effects(&self) -> BTreeMap<String, BTreeSet<(Effect, String)>> {
        let mut effects: BTreeMap<String, BTreeSet<(Effect, String)>> = BTreeMap::new();
        let mut add = |parameters: BTreeSet<String>, effect: Effect, resource: &str| {
            for parameter in parameters {
                effects.entry(parameter).or_default().insert((effect, resource.to_owned()));
            }
        };
        for (name, resource) in self.resources() {
            add(self.replacing(name, &mut BTreeSet::new()), Effect::Replaced, name);
            add(self.parameters_of_existence(resource), Effect::CreatedOrDeleted, name);
            for property in NOT_CHANGED {
                add(self.parameters_in(property_of(resource, property)), Effect::NotChanged, name);
            }
        }
        effects
    }

    /// The parameters whose change replaces a resource: its own properties name them, or a resource that is replaced.
    fn replacing(&self, name: &str, seen: &mut BTreeSet<String>) -> BTreeSet<String> {
        if !seen.insert(name.to_owned()) {
            return BTreeSet::new();
        }
        let resource = &self.resources()[name];
        let mut parameters = BTreeSet::new();
        for property in create_only(resource["Type"].as_str().unwrap()) {
            let value = property_of(resource, property);
            parameters.append(&mut self.parameters_in(value));
            for other in self.resources_in(value) {
                parameters.append(&mut self.replacing(&other, seen));
            }
        }
        parameters
    }
}

#[test]
fn a_replacement_is_found_through_names_conditions_and_other_resources() {
    let template = Template::parse(
        r#"
Parameters: { Direct: {}, Chosen: {}, Existing: {}, Harmless: {} }
Conditions:
  IsChosen: !Equals [!Ref Chosen, yes]
  Exists: !Equals [!Ref Existing, yes]
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: !Sub "${Direct}-f", MemorySize: !Ref Harmless }
  Permission:
    Type: AWS::Lambda::Permission
    Properties: { FunctionName: !Ref Function }
  Table:
    Type: AWS::DynamoDB::Table
    Condition: Exists
    Properties: { KeySchema: !If [IsChosen, [], !Ref AWS::NoValue] }
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: { Name: !Ref Direct }
"#,
    );
    let expected = [
        ("Chosen", vec![(Effect::Replaced, "Table")]),
        (
            "Direct",
            vec![(Effect::Replaced, "Function"), (Effect::Replaced, "Machine"), (Effect::Replaced, "Permission")],
        ),
        ("Existing", vec![(Effect::CreatedOrDeleted, "Table")]),
    ];
    let expected: BTreeMap<String, BTreeSet<(Effect, String)>> = expected
        .into_iter()
        .map(|(name, effects)| {
            (name.to_owned(), effects.into_iter().map(|(effect, on)| (effect, on.to_owned())).collect())
        })
        .collect();
    assert_eq!(template.effects(), expected);
}
