//! Which images a build of a submission's Dockerfile pulls, known before the build.
//!
//! This crate promises that every image that BuildKit pulls for an accepted Dockerfile is among its base images, for its
//! built-in frontend since BuildKit 0.11 (Docker 23). It lists more than BuildKit pulls where a stage is not needed. A line
//! that versions of BuildKit read differently is refused, and so is one whose image depends on the build.
//!
//! Two images are beyond it: the frontend of a `# syntax=docker/dockerfile` line, which a build has to ignore, and what the
//! `ONBUILD` triggers of a base image name.
//!
//! It is pure. The rules are those of
//! <https://github.com/moby/buildkit/tree/master/frontend/dockerfile>; modules name the file that they follow.

mod account;
mod arguments;
mod directives;
mod heredoc;
mod images;
mod instruction;
mod problem;
mod reference;
mod stages;
mod text;

pub use account::{AccountId, InvalidAccountId};
pub use images::BaseImages;
pub use problem::{Problem, Reason};
pub use reference::ImageReference;

/// The images that a build pulls.
///
/// Images in the private registry of `account` are refused: the registry holds what other participants built.
pub fn base_images(dockerfile: &[u8], account: Option<&AccountId>) -> Result<BaseImages, Problem> {
    let lines = text::lines(dockerfile)?;
    let escape = directives::read(&lines)?;
    let instructions = instruction::read(&lines, escape)?;
    stages::base_images(&instructions, escape, lines.len(), account)
}
