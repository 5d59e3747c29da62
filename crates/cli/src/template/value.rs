//! What templates work on: JSON in its own order, and records of named columns.

use std::rc::Rc;

/// A value in a template.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Nothing.
    Nil,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// An object in its own order.
    Map(Vec<(String, Value)>),
    /// A row of named columns.
    Record(Rc<Record>),
}

/// A row of named columns, which knows all of its names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record {
    /// The type that error texts name, such as `*formatter.ContainerContext`.
    pub(crate) type_name: &'static str,
    /// The columns, sorted by name.
    pub(crate) fields: Vec<(&'static str, Value)>,
    /// What `.Label "key"` looks up.
    pub(crate) labels: Vec<(String, String)>,
    /// What `json` prints, when it is not the columns.
    pub(crate) json: Option<serde_json::Value>,
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => number.as_i64().map_or_else(
                || Self::Float(number.as_f64().unwrap_or_default()),
                Self::Int,
            ),
            Json::String(text) => Self::Str(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Json::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(key, value)| (key, Self::from(value)))
                    .collect(),
            ),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl Value {
    /// The value as JSON.
    #[must_use]
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Nil => Json::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Str(text) => text.clone().into(),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
            Self::Map(map) => Json::Object(
                map.iter()
                    .map(|(key, value)| (key.clone(), value.to_json()))
                    .collect(),
            ),
            Self::Record(record) => record.json.clone().unwrap_or_else(|| {
                Json::Object(
                    record
                        .fields
                        .iter()
                        .map(|(key, value)| ((*key).to_owned(), value.to_json()))
                        .collect(),
                )
            }),
        }
    }

    /// The value as JSON text; rows escape `<`, `>` and `&` as Go does for them.
    #[must_use]
    pub(crate) fn json_text(&self) -> String {
        let text = self.to_json().to_string();
        match self {
            Self::Record(record) if record.json.is_none() => escape_html(&text),
            _ => text,
        }
    }

    /// Whether Go calls it true: not empty, not zero.
    #[must_use]
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Record(_) => true,
        }
    }

    /// The Go type that error texts name.
    #[must_use]
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "interface {}",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "[]interface {}",
            Self::Map(_) => "map[string]interface {}",
            Self::Record(record) => record.type_name,
        }
    }

    /// The value as Go's `%v` prints it.
    #[must_use]
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Nil => "<nil>".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => show_float(*value),
            Self::Str(text) => text.clone(),
            Self::List(list) => {
                let words: Vec<String> = list.iter().map(Self::show).collect();
                format!("[{}]", words.join(" "))
            }
            Self::Map(map) if is_struct(map) => {
                let mut words: Vec<String> = map.iter().map(|(_, value)| value.show()).collect();
                let has = |name: &str| map.iter().any(|(key, _)| key == name);
                if has("OOMKilled") && !has("Health") {
                    // A state without health checks: the API leaves out what Go prints.
                    words.push("<nil>".into());
                }
                format!("{{{}}}", words.join(" "))
            }
            Self::Map(map) => {
                let mut words: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.show()))
                    .collect();
                words.sort();
                format!("map[{}]", words.join(" "))
            }
            Self::Record(record) => {
                let words: Vec<String> = record.fields.iter().map(|(_, v)| v.show()).collect();
                format!("{{{}}}", words.join(" "))
            }
        }
    }
}

/// Objects of the Engine API whose keys are all capitalised are structs in Go; labels and ports are maps.
pub(super) fn is_struct(map: &[(String, Value)]) -> bool {
    !map.is_empty()
        && map
            .iter()
            .all(|(key, _)| key.starts_with(|c: char| c.is_ascii_uppercase()))
        && map
            .iter()
            .any(|(key, _)| key.chars().any(|c| c.is_ascii_lowercase()))
}

fn show_float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    value.to_string()
}

/// Go's escapes for `<`, `>` and `&` in JSON text.
pub(crate) fn escape_html(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
