//! What BuildKit itself pulls: answers recorded from its versions 0.13.0, 0.21.0 and the commit 73ed682 of August 2026.
//!
//! The Dockerfiles were made at random from the constructs that these versions read differently or that hide instructions. Each
//! version converted them with `dockerfile2llb.Dockerfile2LLB`, for linux/amd64 and all stages, with a resolver of images that
//! writes down what it is asked for; `parser.DetectSyntax` gave the frontends. `images` has what any of the versions asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use dockerfile::base_images;
use serde_json::Value;

/// The reference as BuildKit resolves it.
fn resolved(image: &str) -> String {
    let has_host = image.split_once('/').is_some_and(|(first, _)| first.contains(['.', ':']));
    let in_library = if image.contains('/') { "" } else { "library/" };
    let image = if has_host { image.to_owned() } else { format!("docker.io/{in_library}{image}") };
    let name = image.rsplit('/').next().unwrap();
    if name.contains([':', '@']) { image } else { format!("{image}:latest") }
}

fn texts(value: &Value) -> BTreeSet<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_image_that_buildkit_pulls_is_hidden() {
    let recorded: Vec<Value> = serde_json::from_str(include_str!("buildkit.json")).unwrap();
    let mut accepted = 0;
    for case in &recorded {
        let dockerfile = case["dockerfile"].as_str().unwrap();
        let Ok(images) = base_images(dockerfile.as_bytes(), None) else { continue };
        accepted += 1;
        let images: BTreeSet<String> = images.iter().map(|image| resolved(image.as_str())).collect();
        let hidden: Vec<String> = texts(&case["images"]).difference(&images).cloned().collect();
        assert!(hidden.is_empty(), "{dockerfile}\n{hidden:?}");
        let frontends = texts(&case["frontends"]);
        assert!(frontends.iter().all(|name| name.starts_with("docker/dockerfile:")), "{dockerfile}\n{frontends:?}");
    }
    assert_eq!((recorded.len(), accepted), (235, 125));
}
