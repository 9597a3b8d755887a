//! The stack as the template's defaults make it: definitions with their substitutions, and the settings of functions.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use runtime::settings::Variables;
use serde_json::Value;

#[path = "../../template/parsed.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests of the template, which need more of it")]
mod parsed;

use parsed::Template;

/// Parameters without a default.
const GIVEN: [(&str, &str); 6] = [
    ("SubmissionApiUrl", "https://api.example.org/v5"),
    ("Auth0Url", "https://auth.example.org/oauth/token"),
    ("Auth0Audience", "audience"),
    ("Auth0SecretArn", "arn:aws:secretsmanager:us-east-1:123456789012:secret:auth0-a1b2c3"),
    ("InputS3Bucket", "input"),
    ("OutputS3Bucket", "output"),
];
pub(crate) const STACK_NAME: &str = "marathon-match";

/// The template of the project.
pub(crate) struct Stack {
    template: Template,
}

/// A state machine to create.
pub(crate) struct StateMachine {
    pub arn: String,
    pub definition: String,
}

impl Stack {
    #[must_use]
    pub(crate) fn of_project() -> Self {
        Self { template: Template::of_project() }
    }

    /// A state machine, with the definition of its name in `folder`.
    pub(crate) fn state_machine(&self, resource: &str, folder: &Path) -> Result<StateMachine> {
        let properties = &self.template.resources()[resource]["Properties"];
        let uri = properties["DefinitionUri"].as_str().context("the template has no definition")?;
        let path = folder.join(Path::new(uri).file_name().context("the definition has no name")?);
        let mut definition = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let substitutions = properties["DefinitionSubstitutions"].as_object().context("there are no substitutions")?;
        for (name, value) in substitutions {
            definition = definition.replace(&format!("${{{name}}}"), &self.resolve(value)?);
        }
        ensure!(!definition.contains("${"), "{} has a substitution that the template does not give", path.display());
        Ok(StateMachine { arn: self.reference(resource)?, definition })
    }

    /// The environment variables of a function.
    pub(crate) fn variables(&self, function: &str) -> Result<Variables> {
        let variables = &self.template.resources()[function]["Properties"]["Environment"]["Variables"];
        let variables = variables.as_object().with_context(|| format!("{function} has no variables"))?;
        variables.iter().map(|(name, value)| Ok((name.as_str(), self.resolve(value)?))).collect()
    }

    /// The default of a numeric parameter.
    pub(crate) fn number(&self, parameter: &str) -> Result<u32> {
        Ok(self.reference(parameter)?.parse()?)
    }

    /// A value as CloudFormation resolves it.
    fn resolve(&self, value: &Value) -> Result<String> {
        let function = value.as_object().and_then(|fields| fields.iter().next());
        match (value, function) {
            (Value::String(text), _) => Ok(text.clone()),
            (Value::Number(_) | Value::Bool(_), _) => Ok(value.to_string()),
            (_, Some((name, argument))) => match (name.as_str(), argument) {
                ("Ref", Value::String(name)) => self.reference(name),
                ("Fn::GetAtt", Value::String(attribute)) => {
                    let (resource, _) = attribute.split_once('.').context("an attribute has a resource")?;
                    self.reference(resource)
                }
                ("Fn::Sub", Value::String(text)) => self.substitute(text),
                ("Fn::Join", Value::Array(arguments)) => {
                    let separator = self.resolve(&arguments[0])?;
                    // The only lists are parameters, whose text already has commas.
                    ensure!(separator == ",", "a list is joined by {separator}");
                    self.resolve(&arguments[1])
                }
                ("Fn::If", Value::Array(arguments)) => {
                    let condition = arguments[0].as_str().context("a condition has a name")?;
                    let chosen = if self.holds(self.template.condition(condition))? { 1 } else { 2 };
                    self.resolve(&arguments[chosen])
                }
                _ => bail!("{value} is not modelled"),
            },
            _ => bail!("{value} is not modelled"),
        }
    }

    fn substitute(&self, text: &str) -> Result<String> {
        let mut parts = text.split("${");
        let mut resolved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').with_context(|| format!("{text} has no end"))?;
            resolved += &self.reference(name.split('.').next().unwrap_or_default())?;
            resolved += rest;
        }
        Ok(resolved)
    }

    /// What `Ref` gives, or the ARN of a resource.
    fn reference(&self, name: &str) -> Result<String> {
        if let Some((_, value)) = GIVEN.iter().find(|(given, _)| *given == name) {
            return Ok((*value).to_owned());
        }
        if let Some(pseudo) = name.strip_prefix("AWS::") {
            let value = match pseudo {
                "Partition" => "aws",
                "Region" => "us-east-1",
                "AccountId" => "123456789012",
                "StackName" => STACK_NAME,
                "NoValue" => "",
                _ => bail!("AWS::{pseudo} is not modelled"),
            };
            return Ok(value.to_owned());
        }
        let default = self.template.default_of(name);
        if self.template.parameter(name).is_object() {
            return default.as_str().map_or_else(|| Ok(default.to_string()), |text| Ok(text.to_owned()));
        }
        let arn = |service: &str, resource: &str| format!("arn:aws:{service}:us-east-1:123456789012:{resource}");
        let kind = self.template.resources().get(name).with_context(|| format!("there is no {name}"))?["Type"].as_str();
        Ok(match kind.unwrap_or_default() {
            "AWS::Serverless::Function" => arn("lambda", &format!("function:{name}")),
            "AWS::Serverless::StateMachine" => arn("states", &format!("stateMachine:{name}")),
            "AWS::IAM::Role" => format!("arn:aws:iam::123456789012:role/{name}"),
            _ => name.to_lowercase(),
        })
    }

    fn holds(&self, condition: &Value) -> Result<bool> {
        let (name, argument) = condition
            .as_object()
            .and_then(|fields| fields.iter().next())
            .with_context(|| format!("{condition} is not a condition"))?;
        let all = || argument.as_array().with_context(|| format!("{condition} has no arguments"));
        Ok(match name.as_str() {
            "Fn::Equals" => self.resolve(&all()?[0])? == self.resolve(&all()?[1])?,
            "Fn::Not" => !self.holds(&all()?[0])?,
            "Fn::And" => all()?.iter().map(|inner| self.holds(inner)).collect::<Result<Vec<_>>>()?.iter().all(|it| *it),
            "Fn::Or" => all()?.iter().map(|inner| self.holds(inner)).collect::<Result<Vec<_>>>()?.iter().any(|it| *it),
            "Condition" => self.holds(self.template.condition(argument.as_str().unwrap_or_default()))?,
            _ => bail!("{condition} is not modelled"),
        })
    }
}
