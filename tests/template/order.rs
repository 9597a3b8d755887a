//! The order in which CloudFormation creates resources. It follows from `DependsOn` and from references:
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-dependson.html>.
//!
//! Step Functions, Lambda and others check a role's rights when they create what uses the role. A right that arrives later fails
//! the deployment: <https://repost.aws/knowledge-center/cloudformation-dependson-error>.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::parsed::Template;

/// The properties that name the role of a resource.
const ROLES: [&str; 3] = ["Role", "RoleArn", "ServiceRole"];
/// The property that names the function whose role counts.
const FUNCTION: &str = "FunctionName";

impl Template {
    /// Everything that exists before a resource.
    fn before(&self, resource: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![resource.to_owned()];
        while let Some(name) = open.pop() {
            let resource = &self.resources()[&name];
            let mut next = self.resources_in(&resource["Properties"]);
            match &resource["DependsOn"] {
                Value::String(name) => drop(next.insert(name.clone())),
                Value::Array(names) => next.extend(names.iter().map(|name| name.as_str().unwrap().to_owned())),
                _ => {}
            }
            open.extend(next.into_iter().filter(|name| found.insert(name.clone())));
        }
        found
    }

    /// The roles that a resource uses, its function's among them.
    pub(crate) fn roles_of(&self, resource: &str) -> BTreeSet<String> {
        let mut roles = BTreeSet::new();
        self.gather_roles(&self.resources()[resource]["Properties"], &mut roles);
        roles
    }

    fn gather_roles(&self, value: &Value, roles: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.gather_roles(item, roles)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if ROLES.contains(&name.as_str()) {
                        let named = self.resources_in(value);
                        roles.extend(
                            named.into_iter().filter(|name| self.resources()[name]["Type"] == "AWS::IAM::Role"),
                        );
                    } else if name == FUNCTION {
                        roles.extend(self.resources_in(value).iter().flat_map(|function| self.roles_of(function)));
                    } else {
                        self.gather_roles(value, roles);
                    }
                }
            }
            _ => {}
        }
    }

    /// The resources that add rights to a role.
    fn policies_of(&self, role: &str) -> impl Iterator<Item = &String> {
        self.resources().iter().filter_map(move |(name, resource)| {
            let is_policy =
                resource["Type"].as_str().unwrap().starts_with("AWS::IAM::") && resource["Type"] != "AWS::IAM::Role";
            let attached = ["Roles", "RoleName"].map(|property| self.resources_in(&resource["Properties"][property]));
            (is_policy && attached.iter().any(|roles| roles.contains(role))).then_some(name)
        })
    }

    /// What CloudFormation may create before all rights of its role exist.
    pub(crate) fn too_early(&self) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.resources().keys() {
            let before = self.before(name);
            for role in self.roles_of(name) {
                let late = self.policies_of(&role).filter(|policy| !before.contains(*policy));
                found.extend(
                    late.map(|policy| format!("{name} does not depend on {policy}, which adds rights to {role}")),
                );
            }
        }
        found.sort();
        found
    }
}

/// A state machine, an event source mapping and a destination whose role gets rights from `Late`, with this line in the
/// resource that the test is about.
fn with_late_policy(of_machine: &str, of_mapping: &str, of_function: &str) -> Vec<String> {
    let template = format!(
        r"
Resources:
  Role: {{ Type: AWS::IAM::Role, Properties: {{ Policies: [] }} }}
  Late: {{ Type: AWS::IAM::Policy, Properties: {{ Roles: [!Ref Role] }} }}
  Machine:
    Type: AWS::Serverless::StateMachine
    {of_machine}
    Properties: {{ Role: !GetAtt Role.Arn }}
  Function:
    Type: AWS::Serverless::Function
    {of_function}
    Properties: {{ Role: !GetAtt Role.Arn, EventInvokeConfig: {{}} }}
  Mapping:
    Type: AWS::Lambda::EventSourceMapping
    {of_mapping}
    Properties: {{ FunctionName: !Ref Function }}
"
    );
    Template::parse(&template).too_early()
}

#[test]
fn a_policy_that_comes_too_late_is_noticed() {
    let depends = "DependsOn: Late";
    let of = |name: &str| format!("{name} does not depend on Late, which adds rights to Role");
    assert_eq!(with_late_policy("", "", ""), [of("Function"), of("Machine"), of("Mapping")]);
    assert_eq!(with_late_policy(depends, "", "DependsOn: [Late]"), <[String; 0]>::default());
    assert_eq!(with_late_policy("DependsOn: [Late]", depends, ""), [of("Function")]);
    assert_eq!(with_late_policy("", depends, depends), [of("Machine")]);
    assert_eq!(with_late_policy("DependsOn: Mapping", depends, depends), <[String; 0]>::default());
}
