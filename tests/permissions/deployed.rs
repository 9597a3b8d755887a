//! A stack as deployed: its resources, the policies of its roles, and its state machines.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use local::clients::{Access, Clients};
use local::deploy::{INPUT_BUCKET, OUTPUT_BUCKET, STACK};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::record::decoded;

/// A deployed stack.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    /// The name of its parameter set.
    pub(crate) set: String,
    /// The stack's name.
    pub(crate) stack: String,
    /// The physical ids of its resources, by logical id.
    pub(crate) ids: BTreeMap<String, String>,
    /// The policies of each role, by the role's logical id: their names and documents.
    pub(crate) policies: BTreeMap<String, Value>,
    /// The roles of functions and state machines, by name: logical ids.
    pub(crate) role_of: BTreeMap<String, String>,
    /// The definitions of its state machines, by name.
    pub(crate) definitions: BTreeMap<String, Value>,
    /// The ARNs of secrets, by what the stack names them.
    pub(crate) secrets: BTreeMap<String, String>,
    /// The policies of buckets, by name.
    pub(crate) bucket_policies: BTreeMap<String, Value>,
    /// The keys that encrypt buckets, by the bucket's name.
    pub(crate) bucket_keys: BTreeMap<String, String>,
}

impl Deployed {
    /// Reads what CloudFormation, IAM, Lambda, Step Functions and S3 say about the stack. `key` encrypts its buckets and
    /// those of models and training data.
    pub(crate) async fn read(clients: &Clients, set: &str, stack: &str, key: Option<&str>) -> Result<Self> {
        let emulator = Emulator(&clients.access);
        let listed =
            emulator.query("cloudformation", &[("Action", "DescribeStackResources"), ("StackName", stack)]).await?;
        let mut resources = BTreeMap::new();
        for member in elements(&listed, "member") {
            let text = |name| elements(member, name).first().map(|text| (*text).to_owned()).unwrap_or_default();
            resources.insert(text("LogicalResourceId"), (text("ResourceType"), text("PhysicalResourceId")));
        }
        ensure!(!resources.is_empty(), "the stack {stack} has no resources: {listed}");
        let of_type = |wanted: &str| -> Vec<(&String, &String)> {
            resources.iter().filter(|(_, (kind, _))| kind == wanted).map(|(logical, (_, id))| (logical, id)).collect()
        };
        // The emulator's reference to a secret is its name, and that of CloudFormation is its ARN:
        // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-secretsmanager-secret.html
        let mut secrets = BTreeMap::new();
        for (_, name) in of_type("AWS::SecretsManager::Secret") {
            let secret = clients.secrets.describe_secret().secret_id(name).send().await?;
            secrets.insert(name.clone(), secret.arn().context("a secret has no ARN")?.to_owned());
        }
        let mut policies = BTreeMap::new();
        for (logical, name) in of_type("AWS::IAM::Role") {
            let names = emulator.query("iam", &[("Action", "ListRolePolicies"), ("RoleName", name)]).await?;
            let mut documents = Vec::new();
            for policy in elements(&names, "member") {
                let parameters = [("Action", "GetRolePolicy"), ("RoleName", name), ("PolicyName", policy)];
                let answer = emulator.query("iam", &parameters).await?;
                let document = *elements(&answer, "PolicyDocument").first().context("a policy has no document")?;
                let mut document = decoded(&unescaped(document));
                for (name, arn) in &secrets {
                    document = document.replace(&format!("\"{name}\""), &format!("\"{arn}\""));
                }
                let document: Value = serde_json::from_str(&document).with_context(|| document.clone())?;
                documents.push(json!({"name": policy, "document": document}));
            }
            ensure!(!documents.is_empty(), "the role {logical} of {stack} has no policies");
            policies.insert(logical.clone(), Value::Array(documents));
        }
        let logical_role = |arn: &str| {
            let name = arn.rsplit('/').next().unwrap_or_default();
            let role = of_type("AWS::IAM::Role").into_iter().find(|(_, id)| id.as_str() == name);
            role.map(|(logical, _)| logical.clone()).with_context(|| format!("{arn} is not a role of {stack}"))
        };
        let mut role_of = BTreeMap::new();
        for (_, name) in of_type("AWS::Lambda::Function") {
            let function = clients.lambda.get_function_configuration().function_name(name).send().await?;
            role_of.insert(name.clone(), logical_role(function.role().unwrap_or_default())?);
        }
        let mut definitions = BTreeMap::new();
        for (_, arn) in of_type("AWS::StepFunctions::StateMachine") {
            let machine = clients.sfn.describe_state_machine().state_machine_arn(arn).send().await?;
            role_of.insert(machine.name().to_owned(), logical_role(machine.role_arn())?);
            definitions.insert(machine.name().to_owned(), serde_json::from_str(machine.definition())?);
        }
        let (mut bucket_policies, mut bucket_keys) = (BTreeMap::new(), BTreeMap::new());
        for (_, bucket) in of_type("AWS::S3::Bucket") {
            let policy = clients.s3.get_bucket_policy().bucket(bucket).send().await?;
            let policy = policy.policy().with_context(|| format!("{bucket} has no policy"))?;
            bucket_policies.insert(bucket.clone(), serde_json::from_str(policy)?);
        }
        if let Some(key) = key {
            // The emulator does not keep the encryption of a template's buckets, so the template has to say it.
            let encrypted = include_str!("../../template.yaml").matches("KMSMasterKeyID: !Ref KmsKeyArn").count();
            ensure!(
                encrypted == bucket_policies.len(),
                "{encrypted} of {} buckets use KmsKeyArn",
                bucket_policies.len()
            );
            // Models are encrypted with the key too, and the buckets of models and training data may be by default.
            let others = [INPUT_BUCKET, OUTPUT_BUCKET].map(str::to_owned);
            bucket_keys.extend(bucket_policies.keys().cloned().chain(others).map(|bucket| (bucket, key.to_owned())));
        }
        let ids = resources.into_iter().map(|(logical, (_, id))| (logical, id)).collect();
        let (set, stack) = (set.to_owned(), stack.to_owned());
        Ok(Self { set, stack, ids, policies, role_of, definitions, secrets, bucket_policies, bucket_keys })
    }

    /// A text of this stack as a text of the other: with the other's names.
    pub(crate) fn as_of(&self, other: &Self, text: &str) -> String {
        let same = |(logical, id): (&String, &String)| Some((id.clone(), other.ids.get(logical)?.clone()));
        let mut names: Vec<(String, String)> = self.ids.iter().filter_map(same).collect();
        names.push((self.stack.clone(), other.stack.clone()));
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        // Through marks, so that no name is replaced twice.
        let mut text = text.to_owned();
        for (at, (name, _)) in names.iter().enumerate() {
            text = text.replace(name.as_str(), &format!("\u{1}{at}\u{2}"));
        }
        for (at, (_, name)) in names.iter().enumerate() {
            text = text.replace(&format!("\u{1}{at}\u{2}"), name);
        }
        text
    }
}

/// Deploys the local stack's template, with the code that is already uploaded, as one more stack.
pub(crate) async fn again(clients: &Clients, stack: &str, parameters: &[String]) -> Result<()> {
    let emulator = Emulator(&clients.access);
    let original = [("Action", "GetTemplate"), ("StackName", STACK), ("TemplateStage", "Original")];
    let template = emulator.query("cloudformation", &original).await?;
    let template = unescaped(elements(&template, "TemplateBody").first().context("there is no template")?);
    // Longer templates have to be in S3: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
    let (key, body) = (format!("{stack}/template.yaml"), template.into_bytes().into());
    clients.s3.put_object().bucket(INPUT_BUCKET).key(&key).body(body).send().await?;
    let url = format!("https://s3.us-east-1.amazonaws.com/{INPUT_BUCKET}/{key}");
    let mut fields = vec![
        ("Action".to_owned(), "CreateStack"),
        ("StackName".to_owned(), stack),
        ("TemplateURL".to_owned(), &url),
        ("Capabilities.member.1".to_owned(), "CAPABILITY_IAM"),
        ("Capabilities.member.2".to_owned(), "CAPABILITY_AUTO_EXPAND"),
    ];
    for (at, (name, value)) in (1..).zip(parameters.iter().filter_map(|parameter| parameter.split_once('='))) {
        fields.push((format!("Parameters.member.{at}.ParameterKey"), name));
        fields.push((format!("Parameters.member.{at}.ParameterValue"), value));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    emulator.query("cloudformation", &fields).await?;
    loop {
        let described = emulator.query("cloudformation", &[("Action", "DescribeStacks"), ("StackName", stack)]).await?;
        match elements(&described, "StackStatus").first() {
            Some(&"CREATE_COMPLETE") => return Ok(()),
            Some(&"CREATE_IN_PROGRESS") => sleep(Duration::from_millis(200)).await,
            _ => bail!("the stack {stack} was not created: {described}"),
        }
    }
}

/// The services of the emulator for which there is no client here.
struct Emulator<'a>(&'a Access);

impl Emulator<'_> {
    async fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Result<String> {
        let body: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let credential = format!("AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request");
        let request = reqwest::Client::new()
            .post(&self.0.endpoint)
            .header("x-amz-security-token", &self.0.token)
            .header("authorization", format!("{credential}, SignedHeaders=host, Signature=none"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        let answer = request.send().await?;
        ensure!(answer.status().is_success(), "{service} {:?}: {}", parameters.first(), answer.text().await?);
        Ok(answer.text().await?)
    }
}

/// The contents of the elements with this name.
fn elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0)).collect()
}

/// The text of an element.
fn unescaped(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// A text in percent encoding.
fn encoded(text: &str) -> String {
    let encode =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}
