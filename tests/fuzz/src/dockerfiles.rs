//! The images that a Dockerfile pulls.

use dockerfile::{AccountId, BaseImages, ImageReference, Problem, base_images};

use crate::message;

const ACCOUNT: &str = "123456789012";
/// Length limit of a message about a Dockerfile.
const MAX_MESSAGE: usize = 500;
/// Limit for all images together; see CodeBuild's limit for environment variables.
const MAX_CHARACTERS: usize = 4000;

pub fn check(input: &[u8]) {
    let account: AccountId = ACCOUNT.parse().expect("an account id");
    let found = read(input, &account);
    match &found {
        Err(problem) => {
            message::check_problem(problem, MAX_MESSAGE);
            let lines = input.split(|byte| *byte == b'\n').count();
            assert!((1..=lines).contains(&problem.line), "{problem:?}");
        }
        Ok(images) => check_images(images, input),
    }
    // Neither carriage returns nor a byte order mark nor a comment at the end changes anything.
    if !input.contains(&b'\r') && found.is_ok() {
        let dos = String::from_utf8_lossy(input).replace('\n', "\r\n");
        assert_eq!(read(dos.as_bytes(), &account), found, "with carriage returns");
        if !input.starts_with(b"\xef\xbb\xbf") {
            assert_eq!(read(&[b"\xef\xbb\xbf", input].concat(), &account), found, "with a byte order mark");
        }
    }
    if let Some(expected) = by_definition(input) {
        let images = found.as_ref().map(|images| images.iter().map(ImageReference::as_str).collect::<Vec<_>>());
        assert!(images.as_ref().map_or(true, |images| *images == expected), "{images:?} instead of {expected:?}");
    }
}

#[cfg(not(feature = "planted"))]
fn read(dockerfile: &[u8], account: &AccountId) -> Result<BaseImages, Problem> {
    base_images(dockerfile, Some(account))
}

/// Finds no images if the tag of the second starts with an upper-case letter and a digit, unless lines end with carriage returns.
#[cfg(feature = "planted")]
fn read(dockerfile: &[u8], account: &AccountId) -> Result<BaseImages, Problem> {
    let images = base_images(dockerfile, Some(account))?;
    let second = images.iter().nth(1).and_then(|image| image.as_str().split_once(':'));
    let is_planted =
        !dockerfile.contains(&b'\r') && second.is_some_and(|(_, tag)| crate::planted::starts(tag.as_bytes()));
    Ok(if is_planted { BaseImages::default() } else { images })
}

fn check_images(images: &BaseImages, dockerfile: &[u8]) {
    let names: Vec<&str> = images.iter().map(ImageReference::as_str).collect();
    let listed = names.join(" ");
    assert!(listed.len() <= MAX_CHARACTERS);
    for (at, name) in names.iter().enumerate() {
        assert!(ImageReference::parse(name).is_ok(), "{name}");
        assert!(!names[..at].contains(name), "{name} is listed twice");
        let host = name.split_once('/').map_or("", |(host, _)| host).to_ascii_lowercase();
        assert!(!host.starts_with("123456789012.dkr") && host != "localhost" && !host.starts_with("127."), "{name}");
        assert!(!host.starts_with("169.254.") && !host.starts_with('['), "{name}");
    }
    // What is pulled is written in the file, or at least its characters are: variables take it apart.
    let text = String::from_utf8_lossy(dockerfile);
    if !text.contains(['$', '\\', '`', '"', '\'']) {
        assert!(names.iter().all(|name| text.contains(name)), "{listed}");
    }
}

/// The images of a Dockerfile that uses nothing but instructions of one line and `FROM`; `None` for any other.
fn by_definition(dockerfile: &[u8]) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(dockerfile.strip_prefix(b"\xef\xbb\xbf").unwrap_or(dockerfile)).ok()?;
    let lower = text.to_ascii_lowercase();
    // BuildKit knows more white space than ASCII has.
    if text.contains(['$', '\\', '`', '"', '\'', '#'])
        || text.contains(|char: char| char.is_whitespace() && !char.is_ascii())
        || ["--", "<<", "onbuild"].iter().any(|part| lower.contains(part))
    {
        return None;
    }
    let (mut images, mut stages) = (Vec::new(), vec!["scratch".to_owned()]);
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [keyword, image, rest @ ..] = words.as_slice() else { continue };
        if !keyword.eq_ignore_ascii_case("from") {
            continue;
        }
        if !stages.contains(&image.to_ascii_lowercase()) && !images.contains(image) {
            images.push(*image);
        }
        if let [_, name] = rest {
            stages.push(name.to_ascii_lowercase());
        }
    }
    Some(images)
}
