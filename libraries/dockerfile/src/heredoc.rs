//! Which lines after an instruction are the text of a heredoc. Follows `heredocsFromLine` in `parser/parser.go` and
//! `shell/lex.go`.

use crate::problem::Reason;

/// A text that follows an instruction, up to a line with its name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heredoc {
    name: String,
    /// `<<-`: tabs may stand before the name.
    strips_tabs: bool,
}

impl Heredoc {
    pub(crate) fn ends_with(&self, line: &str) -> bool {
        let line = if self.strips_tabs { line.trim_start_matches('\t') } else { line };
        line == self.name
    }
}

/// The heredocs of a whole instruction. Anything but a plain `<<NAME` is refused if it could be one: BuildKit and shells
/// disagree about it, and so do versions of BuildKit.
pub(crate) fn of_instruction(instruction: &str) -> Result<Vec<Heredoc>, Reason> {
    let mut heredocs = Vec::new();
    for word in words(instruction)? {
        let word = word.trim_start_matches(|char: char| char.is_ascii_digit());
        let Some(rest) = word.strip_prefix("<<") else { continue };
        let (strips_tabs, name) = match rest.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, rest),
        };
        if name.is_empty() || name.contains('<') {
            continue;
        }
        let quoted = ['"', '\''].iter().find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote));
        let name = quoted.unwrap_or(name);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte)) {
            return Err(Reason::Heredoc { what: "whose name has other characters than letters, digits, and _ - . /" });
        }
        heredocs.push(Heredoc { name: name.to_owned(), strips_tabs });
    }
    Ok(heredocs)
}

/// Splits as BuildKit does for heredocs. Quotes stay in the words.
fn words(instruction: &str) -> Result<Vec<String>, Reason> {
    let refused = |what| Err(Reason::Heredoc { what });
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = instruction.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' | '"' => {
                word.push(char);
                loop {
                    match chars.next() {
                        None => return refused("beside a quote that is not closed"),
                        Some('$') if char == '"' && chars.peek() == Some(&'{') => variable(&mut chars, &mut word)?,
                        Some('\\') if char == '"' => {
                            word.push('\\');
                            word.extend(chars.next_if(|next| matches!(next, '"' | '$' | '\\')));
                        }
                        Some(inner) => {
                            word.push(inner);
                            if inner == char {
                                break;
                            }
                        }
                    }
                }
            }
            '$' if chars.peek() == Some(&'{') => variable(&mut chars, &mut word)?,
            // `$$` and the like are one variable, so that `$${x}` has no braces.
            '$' => {
                word.push('$');
                word.extend(chars.next_if(|next| matches!(next, '@' | '*' | '#' | '?' | '-' | '$' | '!' | '0')));
            }
            '<' if chars.peek() == Some(&'<') => {
                chars.next();
                word.push_str("<<");
                if chars.peek().is_some_and(|next| next.is_whitespace()) {
                    return refused("with a space after <<");
                }
            }
            '\\' => {
                word.push('\\');
                word.extend(chars.next());
            }
            char if char.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            char => word.push(char),
        }
    }
    words.push(word);
    Ok(words)
}

/// Copies `{name}`, also with `:-` or `:+` and plain text.
fn variable(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, word: &mut String) -> Result<(), Reason> {
    let refused = || Reason::Heredoc { what: "beside a ${...} that is not a plain variable" };
    word.push('$');
    word.extend(chars.next());
    let mut inner = String::new();
    loop {
        match chars.next() {
            Some('}') => break,
            None | Some('{' | '$' | '\'' | '"' | '\\' | '<' | ' ' | '\t') => return Err(refused()),
            Some(char) => inner.push(char),
        }
    }
    let name = inner.split_once(":-").or_else(|| inner.split_once(":+")).map_or(inner.as_str(), |(name, _)| name);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) || !is_name || !inner.is_ascii() {
        return Err(refused());
    }
    word.push_str(&inner);
    word.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(instruction: &str) -> Result<Vec<(String, bool)>, Reason> {
        let heredocs = of_instruction(instruction)?;
        Ok(heredocs.into_iter().map(|heredoc| (heredoc.name, heredoc.strips_tabs)).collect())
    }

    #[test]
    fn heredocs_are_found_where_buildkit_finds_them() {
        for (instruction, expected) in [
            ("RUN <<EOF", &["EOF"][..]),
            ("RUN cat <<EOF > a && cat <<'B' <<\"C\" 3<<D", &["EOF", "B", "C", "D"]),
            ("COPY <<a/b.txt <<-c /x/", &["a/b.txt", "c"]),
            ("RUN cat<<EOF", &[]),
            ("RUN cat <<<EOF", &[]),
            ("RUN cat <<", &[]),
            ("RUN echo \"a <<b\" 'c <<d'", &[]),
            ("RUN echo \\ <<EOF", &[]),
            ("RUN echo \\  <<EOF", &["EOF"]),
            ("RUN echo a\\ <<EOF", &[]),
            ("RUN echo $((1<<2))", &[]),
            ("RUN cat ${FILE} $x \"${FILE:-a}\" $${x <<EOF", &["EOF"]),
        ] {
            let found = names(instruction).unwrap_or_else(|reason| panic!("{instruction}: {reason}"));
            let found: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(found, expected, "{instruction}");
        }
    }

    #[test]
    fn what_is_read_differently_is_refused() {
        for instruction in [
            "RUN cat << EOF",
            "RUN echo $((1 << 2))",
            "RUN echo it's <<EOF",
            "RUN echo \"a <<EOF",
            "RUN cat <<EOF>a",
            "RUN (cat <<EOF)",
            "RUN cat <<E\\OF",
            "RUN cat <<E\"O\"F",
            "RUN cat <<$X",
            "RUN cat <<''",
            "RUN cat ${X%y} <<EOF",
            "RUN cat ${X:-a b} <<EOF",
            "RUN cat ${ <<EOF",
            "RUN cat ${1a} <<EOF",
            "RUN cat ${#x} <<EOF",
        ] {
            assert!(of_instruction(instruction).is_err(), "{instruction}: {:?}", names(instruction));
        }
    }

    #[test]
    fn only_a_line_with_nothing_but_the_name_ends_a_heredoc() {
        let ends = |instruction: &str, line| of_instruction(instruction).unwrap()[0].ends_with(line);
        assert!(ends("RUN <<EOF", "EOF") && ends("RUN <<-EOF", "\t\tEOF"));
        assert!(!ends("RUN <<EOF", "\tEOF") && !ends("RUN <<EOF", "EOF ") && !ends("RUN <<-EOF", " EOF"));
    }
}
