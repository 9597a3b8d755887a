//! The list of images.

use serde::Serialize;

use crate::problem::Reason;
use crate::reference::ImageReference;

/// Limit for the number of images.
const MAX_IMAGES: usize = 64;
/// Limit for all references together, separated by single spaces. The build reads them from one environment variable, and
/// CodeBuild fails when all variables together come near 5,500 characters, names included:
/// <https://docs.aws.amazon.com/codebuild/latest/userguide/troubleshooting.html>. The other variables of a build take less than
/// 700.
const MAX_CHARACTERS: usize = 4000;

/// The images of a Dockerfile, each once, in the order of the Dockerfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct BaseImages(Vec<ImageReference>);

impl BaseImages {
    pub(crate) fn add(&mut self, image: ImageReference) -> Result<(), Reason> {
        if self.0.contains(&image) {
            return Ok(());
        }
        self.0.push(image);
        if self.0.len() > MAX_IMAGES {
            return Err(Reason::TooManyImages { limit: MAX_IMAGES });
        }
        let characters: usize = self.0.iter().map(|image| image.as_str().len() + 1).sum();
        if characters > MAX_CHARACTERS + 1 {
            return Err(Reason::ImagesTooLong { limit: MAX_CHARACTERS });
        }
        Ok(())
    }

    pub fn iter(&self) -> impl Iterator<Item = &ImageReference> {
        self.0.iter()
    }
}
