//! Rows become tables, JSON lines or whatever a template says.

use crate::{
    command::Failure,
    tabwriter,
    template::{Mode, Record, Template, Value},
};

/// The columns a kind of row has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Columns {
    /// The name error texts give the row, such as `*formatter.ContainerContext`.
    pub(crate) type_name: &'static str,
    /// Each field with its heading.
    pub(crate) headings: &'static [(&'static str, &'static str)],
}

/// Prints rows with `format`; an empty one or `table` means `default`.
pub(crate) fn render(
    format: &str,
    default: &str,
    columns: Columns,
    rows: Vec<Record>,
) -> Result<String, Failure> {
    let (template, is_table) = match format.trim() {
        "" | "table" => (default, true),
        "json" => ("{{json .}}", false),
        text => match text.strip_prefix("table") {
            Some(custom) => (custom.trim(), true),
            None => (format, false),
        },
    };
    let template = unescape(template);
    let parsed = Template::parse(&template)
        .map_err(|error| Failure::new(format!("failed to parse template: {error}")))?;
    let fill = |row: Value, mode, output: &mut String| {
        parsed
            .execute(&row, mode, output)
            .map_err(|error| Failure::new(format!("failed to execute template: {error}")))
    };
    let mut body = String::new();
    for row in rows {
        let row = Record {
            type_name: columns.type_name,
            ..row
        };
        fill(Value::Record(row.into()), Mode::Values, &mut body)?;
        body.push('\n');
    }
    if !is_table {
        return Ok(body);
    }
    let headings = Record {
        type_name: columns.type_name,
        fields: columns
            .headings
            .iter()
            .map(|(field, heading)| (*field, Value::from(*heading)))
            .collect(),
        ..Record::default()
    };
    let mut text = String::new();
    fill(Value::Record(headings.into()), Mode::Header, &mut text)?;
    text.push('\n');
    text.push_str(&body);
    Ok(tabwriter::align(&text, tabwriter::TABLE))
}

/// Turns the two escapes a shell passes on, `\t` and `\n`, into the characters.
pub(crate) fn unescape(template: &str) -> String {
    template.replace("\\t", "\t").replace("\\n", "\n")
}

/// Prints one object with a template, for info and version; errors name the template and the type as docker's do.
pub(crate) fn render_object(
    format: &str,
    object: &serde_json::Value,
    (name, type_name): (&str, &str),
) -> Result<String, Failure> {
    let renamed = |error: String| {
        let (known, typed) = ("map has no entry for key ", "can't evaluate field ");
        let error = match error.rsplit_once(known) {
            Some((head, field)) => {
                let field = field.trim_matches('"');
                format!("{head}{typed}{field} in type {type_name}")
            }
            None => error,
        };
        error
            .replacen("template: :", &format!("template: {name}:"), 1)
            .replacen("executing \"\"", &format!("executing {name:?}"), 1)
    };
    if format == "json" {
        return Ok(format!("{object}\n"));
    }
    let parsed = Template::parse(&unescape(format)).map_err(|error| {
        Failure::with_code(format!("template parsing error: {}", renamed(error)), 64)
    })?;
    let mut text = String::new();
    parsed
        .execute(&Value::from(object.clone()), Mode::Values, &mut text)
        .map_err(|error| Failure::new(renamed(error)))?;
    text.push('\n');
    Ok(text)
}
