//! Go's text templates, as far as `--format` uses them: fields, pipelines, range, if, with, and Docker's functions.

mod eval;
mod functions;
mod lex;
mod parse;
mod value;

pub(crate) use value::{Record, Value, escape_html};

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    nodes: Vec<parse::Node>,
}

/// How a template treats what it does not find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Rows of values: an unknown name is an error.
    Values,
    /// A table's header: unknown names print `<no value>`, functions change nothing.
    Header,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Go's words for a template that cannot be read, from `template: :1: …` on.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let nodes = parse::parse(text).map_err(|error| error.render(text))?;
        Ok(Self {
            text: text.to_owned(),
            nodes,
        })
    }

    /// Fills the template in.
    ///
    /// # Errors
    /// Go's words for a template that does not fit its data. What was printed before stays in `output`.
    pub(crate) fn execute(
        &self,
        data: &Value,
        mode: Mode,
        output: &mut String,
    ) -> Result<(), String> {
        eval::run(&self.text, &self.nodes, data, mode, output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, json: &str, expect: &str) {
        let data = Value::from(serde_json::from_str::<serde_json::Value>(json).unwrap());
        let mut output = String::new();
        let result = Template::parse(template)
            .and_then(|parsed| parsed.execute(&data, Mode::Values, &mut output));
        match result {
            Ok(()) => assert_eq!(output, expect, "{template}"),
            Err(error) => assert_eq!(error, expect, "{template}"),
        }
    }

    #[test]
    fn fields_pipelines_and_functions() {
        let data =
            r#"{"A":{"B":"x","N":3},"L":["p","q"],"M":{"z":1,"a":"2"},"F":1.5,"T":true,"E":""}"#;
        check("{{.A.B}}-{{.A.N}}", data, "x-3");
        check("{{json .M}}", data, r#"{"z":1,"a":"2"}"#);
        check("{{.M}}", data, "map[a:2 z:1]");
        check("{{.L}}", data, "[p q]");
        check("{{join .L \",\"}}", data, "p,q");
        check("{{.A.B | upper}}", data, "X");
        check(
            "{{printf \"%s=%03d %q %v\" .A.B .A.N .A.B .F}}",
            data,
            "x=003 \"x\" 1.5",
        );
        check(
            "{{len .L}} {{index .L 1}} {{index .M \"a\"}}",
            data,
            "2 q 2",
        );
        check("{{range $i, $e := .L}}{{$i}}{{$e}};{{end}}", data, "0p;1q;");
        check(
            "{{range $k, $v := .M}}{{$k}}={{$v}} {{end}}",
            data,
            "a=2 z=1 ",
        );
        check("{{range .E}}x{{else}}none{{end}}", r#"{"E":[]}"#, "none");
        check("{{if eq .A.N 3}}y{{else}}n{{end}}", data, "y");
        check("{{if .E}}a{{else if .T}}b{{end}}", data, "b");
        check("{{with .A}}{{.B}}{{end}}", data, "x");
        check("{{$x := .A.B}}{{$x}}{{println}}", data, "x\n");
        check("a {{- 1 -}} b", data, "a1b");
        check("{{and .T (not .E)}} {{or .E .A.B}}", data, "true x");
        check("{{split \"a:b\" \":\"}}", data, "[a b]");
        check("{{truncate .A.B 5}}{{pad .A.B 1 2}}|", data, "x x  |");
        check("{{/* note */}}z", data, "z");
        check("{{title \"ab cd\"}}", data, "Ab Cd");
        check("{{lt .A.N 5}} {{gt 2 1}}", data, "true true");
    }

    #[test]
    fn errors_are_gos() {
        check(
            "{{.Foo}}",
            r#"{"Bar":1}"#,
            "template: :1:2: executing \"\" at <.Foo>: map has no entry for key \"Foo\"",
        );
        check("{{.Labels.x}}", r#"{"Labels":{"a":"b"}}"#, "<no value>");
        check("{{.Foo", "{}", "template: :1: unclosed action");
        check(
            "{{foo}}",
            "{}",
            "template: :1: function \"foo\" not defined",
        );
        check("{{if .A}}", "{}", "template: :1: unexpected EOF");
        check("{{end}}", "{}", "template: :1: unexpected {{end}}");
    }
}
