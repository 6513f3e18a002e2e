//! Java's `sasl.jaas.config`: a login module and its options.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// What stands in a `sasl.jaas.config`.
pub(super) struct Jaas {
    /// The class, without its package.
    pub(super) module: String,
    pub(super) options: BTreeMap<String, String>,
}

/// Reads `package.Module flag name="value" …;`. An error does not repeat what it has read.
pub(super) fn parse(text: &str) -> Result<Jaas, &'static str> {
    let mut reader = Reader(text.chars().peekable());
    let class = reader.word();
    let module = class.rsplit('.').next().unwrap_or_default().to_owned();
    if module.is_empty() {
        return Err("it does not begin with a login module's class");
    }
    let flag = reader.word().to_lowercase();
    if !["required", "requisite", "sufficient", "optional"].contains(&flag.as_str()) {
        return Err("`required` is missing behind the login module's class");
    }
    let mut options = BTreeMap::new();
    loop {
        reader.blanks();
        if reader.0.next_if_eq(&';').is_some() {
            break;
        }
        let name = reader.word();
        reader.blanks();
        if name.is_empty() || reader.0.next_if_eq(&'=').is_none() {
            return Err("an option is not written as name=\"value\", or the semicolon at the end is missing");
        }
        options.insert(name, reader.value()?);
    }
    reader.blanks();
    match reader.0.next() {
        None => Ok(Jaas { module, options }),
        Some(_) => Err("something follows the semicolon; one login module is enough"),
    }
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    fn blanks(&mut self) {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn word(&mut self) -> String {
        self.blanks();
        let ends = |c: &char| c.is_whitespace() || matches!(c, '=' | ';' | '"' | '\'');
        std::iter::from_fn(|| self.0.next_if(|c| !ends(c))).collect()
    }

    fn value(&mut self) -> Result<String, &'static str> {
        self.blanks();
        let Some(quote) = self.0.next_if(|c| matches!(c, '"' | '\'')) else {
            return Ok(self.word());
        };
        let mut value = String::new();
        loop {
            match self.0.next().ok_or("a quotation mark is missing")? {
                c if c == quote => return Ok(value),
                '\\' => value.push(match self.0.next().ok_or("a quotation mark is missing")? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c => c,
                }),
                c => value.push(c),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_and_options_are_found_however_they_are_written() {
        for text in [
            r#"org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="a;b=\"c\\ d";"#,
            "PlainLoginModule REQUIRED\n  username = 'alice'\n  password='a;b=\"c\\\\ d' ; ",
        ] {
            let jaas = parse(text).unwrap();
            assert_eq!(jaas.module, "PlainLoginModule");
            assert_eq!(jaas.options["username"], "alice");
            assert_eq!(jaas.options["password"], "a;b=\"c\\ d");
        }
        assert_eq!(parse("a.ScramLoginModule required username=bob;").unwrap().options["username"], "bob");
    }

    #[test]
    fn what_is_none_is_refused_and_not_repeated() {
        for text in [
            "",
            "hunter2",
            "PlainLoginModule username=\"hunter2\";",
            "PlainLoginModule required username=\"a\" password=\"hunter2\"",
            "PlainLoginModule required username=\"a\" password=\"hunter2;",
            "PlainLoginModule required hunter2;",
            "PlainLoginModule required; ScramLoginModule required password=\"hunter2\";",
        ] {
            let why = parse(text).err().unwrap();
            assert!(!why.contains("hunter2"));
        }
    }
}
