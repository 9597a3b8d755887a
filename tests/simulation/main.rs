//! The simulation of `tests/simulate`: its interpreter of definitions, its evaluation of JSONata, and small evenings.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod definitions;
mod evening;
mod expressions;
mod interpreter;

use std::path::{Path, PathBuf};

use simulate::jsonata::Jsonata;

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The folder of the reference implementation.
fn package() -> PathBuf {
    in_repository(".local/jsonata/node_modules/jsonata")
}

fn jsonata() -> Jsonata {
    Jsonata::start(&package()).unwrap()
}
