//! The cases, group by group.

mod answers;
mod archives;
mod dockerfiles;
mod entrance;
mod images;
mod outputs;
mod predictions;
mod trainings;

use crate::case::Case;
use crate::control::AMPLE;

/// Stands after the last step of an attack.
const DONE: &str = "attack-is-done";

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    [
        archives::cases(),
        dockerfiles::cases(),
        images::cases(),
        trainings::cases(),
        outputs::cases(),
        predictions::cases(),
        entrance::cases(),
        answers::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What no engine here can show without its defence.
pub(crate) const NOT_RUN_HERE: [(&str, &str); 7] = [
    (
        "a syntax directive that pulls a frontend, as #, // or JSON, or after a BOM",
        "podman takes no frontends; BuildKit does",
    ),
    ("RUN --network=host and RUN --security=insecure", "podman 4.3 does not know them; BuildKit does"),
    ("an ADD that dockerd fetches from 127.0.0.1:2375", "there is no docker daemon"),
    ("a redirect from https to http", "the Submission API's stand-in has no certificate"),
    ("next=1e-200 and a cursor of another challenge", "the emulator's DynamoDB takes any cursor"),
    ("a client that sends one byte a second", "Lambda's function URL reads requests on AWS, the emulator here"),
    ("a BuildKit build container that escapes (CVE-2024-23651 to 23653)", "BuildKit is not installed"),
];
