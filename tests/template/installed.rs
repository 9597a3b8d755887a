//! What the installed tools know: the schemas of CloudFormation, the instance types of SageMaker, and `JSONata`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::read;
use crate::replacement::CREATE_ONLY;

/// Runs a Python program with the tools of a folder in `.local`, and returns what it prints as JSON.
fn python(tools: &str, program: &str, input: &Value) -> Value {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local").join(tools).join("bin/python");
    let mut child = Command::new(&python)
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}: run make setup first", python.display()));
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} ended with {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_properties_that_replace_a_resource_are_those_of_the_schemas() {
    let program = r"
import cfnlint, json, pathlib, sys
data = pathlib.Path(cfnlint.__file__).parent / 'data' / 'schemas'
types = json.loads((data / 'providers' / 'us-east-1.json').read_text())
def properties(kind):
    schema = json.loads((data / 'resources' / f'{types[kind]}.json').read_text())
    paths = schema.get('createOnlyProperties', []) + schema.get('conditionalCreateOnlyProperties', [])
    return sorted(path.removeprefix('/properties/') for path in paths)
print(json.dumps({kind: properties(kind) for kind in json.load(sys.stdin)}))
";
    let kinds: Vec<&str> = CREATE_ONLY.iter().map(|(kind, _)| *kind).collect();
    let schemas = python("tools", program, &json!(kinds));
    for (kind, properties) in CREATE_ONLY {
        assert_eq!(schemas[kind], json!(properties), "{kind}");
    }
}

/// The families of SageMaker's instance types without local storage. For `g7`, no page says so: SageMaker refuses the key if it
/// has local storage.
const WITHOUT_LOCAL_STORAGE: [&str; 24] = [
    "c4", "c5", "c5n", "c6i", "c7i", "c7i-flex", "c8i", "c8i-flex", "g7", "m4", "m5", "m6i", "m7i", "m7i-flex", "m8i",
    "m8i-flex", "p2", "p3", "r5", "r6i", "r7i", "r8i", "r8i-flex", "t3",
];

fn definition() -> Value {
    serde_json::from_str(&read("statemachine/processing.asl.json")).unwrap()
}

/// Evaluates the argument `ResourceConfig` of `TrainModel` as Step Functions does.
fn resource_config(kms_key: &str, instance_type: &str) -> Value {
    let definition = definition();
    let argument = definition["States"]["TrainModel"]["Arguments"]["ResourceConfig"].as_str().unwrap();
    let expression = argument.trim_start_matches("{%").trim_end_matches("%}").replace("${KmsKeyArn}", kms_key);
    let mut variables = definition["States"]["Begin"]["Assign"].clone();
    variables["settings"] = json!({ "instanceType": instance_type, "instanceNumber": 1, "volumeSizeInGB": 30 });
    let program = r"
import json, jsonata, sys
given = json.load(sys.stdin)
expression = jsonata.Jsonata(given['expression'])
frame = expression.create_frame()
for name, value in given['variables'].items():
    frame.bind(name, value)
print(json.dumps(expression.evaluate(None, frame)))
";
    python("emulator", program, &json!({ "expression": expression, "variables": variables }))
}

/// SageMaker refuses a key for the volume of an instance with local storage:
/// <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html>.
#[test]
fn only_volumes_that_accept_a_key_get_one() {
    let key = "arn:aws:kms:us-east-1:123456789012:key/k";
    let config =
        |instance_type: &str| json!({ "InstanceType": instance_type, "InstanceCount": 1, "VolumeSizeInGB": 30 });
    for instance_type in ["ml.g5.xlarge", "ml.g4dn.xlarge", "ml.p4d.24xlarge", "ml.p6-b200.48xlarge", "ml.r5d.large"] {
        assert_eq!(resource_config(key, instance_type), config(instance_type));
    }
    for instance_type in ["ml.m5.large", "ml.c7i-flex.large", "ml.r5.large", "ml.p3.2xlarge"] {
        let mut expected = config(instance_type);
        assert_eq!(resource_config("", instance_type), expected);
        expected["VolumeKmsKeyId"] = json!(key);
        assert_eq!(resource_config(key, instance_type), expected);
    }
}

/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html>, section "Instance store specifications", and the pages beside
/// it say which instances have local storage.
#[test]
fn it_is_known_of_every_instance_type_whether_it_has_local_storage() {
    let program = r"
import botocore.session, json
types = botocore.session.get_session().get_service_model('sagemaker').shape_for('TrainingInstanceType').enum
print(json.dumps(sorted({name.split('.')[1] for name in types})))
";
    let families: BTreeSet<String> = serde_json::from_value(python("tools", program, &Value::Null)).unwrap();
    let with = definition()["States"]["Begin"]["Assign"]["familiesWithLocalStorage"].clone();
    let with: BTreeSet<String> = serde_json::from_value(with).unwrap();
    let without: BTreeSet<String> = WITHOUT_LOCAL_STORAGE.iter().map(|&family| family.to_owned()).collect();
    assert!(with.is_disjoint(&without), "{:?}", with.intersection(&without));
    assert_eq!(&with | &without, families);
}
