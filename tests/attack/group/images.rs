//! Images that a build makes.

use anyhow::ensure;
use domain::FailureCode::{BuildFailed, TrainingFailed};

use super::{AMPLE, DONE};
use crate::arena::{BASE, MAX_IMAGE_BYTES};
use crate::case::{Attack, Case, Control, End, Group, Sign, deed};

/// Builds on the host, and returns what `podman image inspect` says.
fn inspected(
    name: &'static str,
    dockerfile: String,
    format: &'static str,
    harm: fn(&str) -> bool,
    says: &'static str,
) -> Control {
    Control::Deed(deed(move |arena, _| {
        let files = [
            ("Dockerfile".to_owned(), dockerfile.clone().into_bytes(), false),
            ("train".to_owned(), b"#!/bin/sh\n".to_vec(), true),
        ];
        Box::pin(async move {
            let bare = arena.bare().await?;
            let (built, output) = bare.build(&files, name, &[]).await?;
            ensure!(built, "{output}");
            let (_, shown) = bare.command(&["image", "inspect", "--format", format, name]).await?;
            ensure!(harm(shown.trim()), "{shown}");
            Ok(format!("{says} {}", shown.trim()))
        })
    }))
}

pub(super) fn cases() -> Vec<Case> {
    let empty = "FROM scratch\nLABEL a=b\n";
    let large = format!("FROM {BASE}\nRUN head -c 160m /dev/zero >/big\nCOPY train /bin/train\n");
    let whole = |name: &str, defence, dockerfile: String, control| {
        let attack = Attack::Dockerfile(Box::new(move |_| dockerfile.clone()));
        Case::new(Group::Images, name, defence, attack, End::Rejected(BuildFailed, 1, 0), control)
    };
    vec![
        whole(
            "an image of no layers",
            "layers are counted",
            empty.to_owned(),
            inspected(
                "no-layers",
                empty.to_owned(),
                "{{len .RootFS.Layers}}",
                |shown| shown == "0",
                "an image was made whose layers are",
            ),
        )
        .representative(),
        whole(
            "an image of 160 MB where 128 MB are allowed",
            "size is measured",
            large.clone(),
            inspected(
                "large",
                large,
                "{{.Size}}",
                |shown| shown.parse::<u64>().is_ok_and(|bytes| bytes > MAX_IMAGE_BYTES),
                "an image was made whose bytes are",
            ),
        ),
        Case::new(
            Group::Images,
            "a volume that takes 1.5 GB in training",
            "disk of the enclosure",
            Attack::LinesAndTrain(
                Box::new(|_| "VOLUME /data".to_owned()),
                Box::new(|_| format!("head -c 1500m /dev/zero >/data/big && rm /data/big && echo {DONE}")),
            ),
            End::Rejected(TrainingFailed, 1, 1),
            Control::Roomy(AMPLE, Sign::Word(DONE)),
        ),
    ]
}
