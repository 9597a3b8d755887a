//! Who may do what over HTTP.

/// What the holder of a key of the scoring API may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads what participants may read.
    Reader,
    /// Also starts scoring, and reads exact scores and offending submissions.
    Organiser,
}

impl Role {
    /// The role in the name of a key: `organiser` or `reader`, alone or before a hyphen and anything else.
    #[must_use]
    pub fn of_key(name: &str) -> Option<Self> {
        match name.split_once('-').map_or(name, |(role, _)| role) {
            "reader" => Some(Self::Reader),
            "organiser" => Some(Self::Organiser),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_begins_with_its_role() {
        for (name, role) in [
            ("organiser", Some(Role::Organiser)),
            ("organiser-next", Some(Role::Organiser)),
            ("reader-the-website", Some(Role::Reader)),
            ("current", None),
            ("Organiser", None),
            ("readers", None),
            ("", None),
        ] {
            assert_eq!(Role::of_key(name), role, "{name}");
        }
    }
}
