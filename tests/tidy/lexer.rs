//! Just enough of Rust's grammar to tell code from comments, texts and tests. Not a parser: it knows tokens
//! and matching braces, which is all that the rules ask for.

/// A word, a path separator, or one other character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A text literal.
#[derive(Clone, Debug)]
pub(crate) struct Literal {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// A file's code.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    pub(crate) literals: Vec<Literal>,
}

/// Takes code apart. Comments are dropped; a literal leaves an empty token `""` in its place.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut reader = Reader {
        rest: text,
        line: 1,
        out: Lexed::default(),
    };
    while let Some(c) = reader.rest.chars().next() {
        reader.step(c);
    }
    reader.out
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    out: Lexed,
}

impl<'t> Reader<'t> {
    fn take(&mut self, bytes: usize) -> &'t str {
        let (head, tail) = self.rest.split_at(bytes);
        self.line += head.matches('\n').count();
        self.rest = tail;
        head
    }

    fn token(&mut self, line: usize, text: &str) {
        self.out.tokens.push(Token {
            line,
            text: text.to_owned(),
        });
    }

    fn step(&mut self, c: char) {
        let line = self.line;
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end);
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if let Some(hashes) = raw_string(self.rest) {
            self.raw(hashes);
        } else if c == '"' || self.rest.starts_with("b\"") {
            self.quoted();
        } else if c == '\'' {
            self.tick();
        } else if c.is_alphanumeric() || c == '_' {
            let end = self
                .rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(self.rest.len());
            let word = self.take(end);
            self.token(line, word);
        } else if self.rest.starts_with("::") {
            self.take(2);
            self.token(line, "::");
        } else {
            let other = self.take(c.len_utf8());
            if !c.is_whitespace() {
                self.token(line, other);
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else {
                let next = self.rest.chars().next().map_or(1, char::len_utf8);
                self.take(next);
            }
        }
    }

    fn literal(&mut self, line: usize, text: &str) {
        self.token(line, "\"\"");
        self.out.literals.push(Literal {
            line,
            text: text.to_owned(),
        });
    }

    fn raw(&mut self, hashes: usize) {
        let line = self.line;
        let open = self.rest.find('"').unwrap_or(0) + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let length = self.rest[open..].find(&close).unwrap_or(self.rest.len() - open);
        let inside = &self.rest[open..open + length];
        self.take((open + length + close.len()).min(self.rest.len()));
        self.literal(line, inside);
    }

    fn quoted(&mut self) {
        let line = self.line;
        let open = self.rest.find('"').unwrap_or(0) + 1;
        let mut escaped = false;
        let length = self.rest[open..]
            .find(|c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            })
            .unwrap_or(self.rest.len() - open);
        let inside = &self.rest[open..open + length];
        self.take((open + length + 1).min(self.rest.len()));
        self.literal(line, inside);
    }

    /// A character literal or a lifetime.
    fn tick(&mut self) {
        let mut chars = self.rest.char_indices().skip(1);
        let end = match (chars.next(), chars.next()) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let from = at + escaped.len_utf8();
                from + self.rest[from..].find('\'').unwrap_or(0) + 1
            }
            (Some(_), Some((at, '\''))) => at + 1,
            (Some(_) | None, _) => 1,
        };
        self.take(end.min(self.rest.len()));
    }
}

/// How many hashes a raw string that begins here has.
fn raw_string(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = rest.chars().take_while(|c| *c == '#').count();
    rest[hashes..].starts_with('"').then_some(hashes)
}

impl Lexed {
    /// The same without modules marked `#[cfg(test)]`.
    pub(crate) fn without_tests(&self) -> Self {
        let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
        let mut tokens = Vec::new();
        let mut hidden = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let marked = mark
                .iter()
                .zip(&self.tokens[at..])
                .filter(|(want, token)| token.text == **want)
                .count()
                == mark.len();
            if !marked {
                tokens.push(self.tokens[at].clone());
                at += 1;
                continue;
            }
            let end = self.end_of_item(at + mark.len());
            hidden.push((self.tokens[at].line, self.line_at(end)));
            at = end + 1;
        }
        let visible = |line: usize| !hidden.iter().any(|(from, to)| (*from..=*to).contains(&line));
        Self {
            tokens,
            literals: self
                .literals
                .iter()
                .filter(|literal| visible(literal.line))
                .cloned()
                .collect(),
        }
    }

    fn line_at(&self, at: usize) -> usize {
        self.tokens
            .get(at)
            .or(self.tokens.last())
            .map_or(1, |token| token.line)
    }

    /// The index of the token that ends the item that begins at `at`: its `;`, or its closing brace.
    fn end_of_item(&self, at: usize) -> usize {
        let mut depth = 0;
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => return index,
                "}" => depth -= 1,
                ";" if depth == 0 => return index,
                _ => {}
            }
        }
        self.tokens.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let tokens = lex(text).without_tests().tokens;
        tokens.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_texts_and_tests_are_no_code() {
        assert_eq!(
            words("a // b\n/* c /* d */ e */ f"),
            ["a", "f"],
            "comments, also nested"
        );
        assert_eq!(words("x(\"y \\\" z\")"), ["x", "(", "\"\"", ")"]);
        assert_eq!(words("r#\"a \" b\"# c"), ["\"\"", "c"]);
        assert_eq!(words("'a' '\\'' '\\u{7f}' b"), ["b"]);
        assert_eq!(words("&'a str"), ["&", "a", "str"]);
        assert_eq!(
            words("a; #[cfg(test)]\nmod tests { fn b() { c } }\nd"),
            ["a", ";", "d"]
        );
    }

    #[test]
    fn lines_are_counted_through_texts_and_comments() {
        let lexed = lex("/* 1\n2 */ \"2\n3\" word");
        assert_eq!(lexed.tokens.last().map(|token| token.line), Some(3));
        assert_eq!(lexed.literals[0].line, 2);
    }
}
