//! A parsed template meets its data.

use super::{
    Mode, Value, functions,
    parse::{Node, Operand, Pipe, Term},
};

/// How a list of nodes ended.
enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    text: &'a str,
    mode: Mode,
    variables: Vec<(String, Value)>,
    output: &'a mut String,
}

pub(super) fn run(
    text: &str,
    nodes: &[Node],
    data: &Value,
    mode: Mode,
    output: &mut String,
) -> Result<(), String> {
    let mut run = Run {
        text,
        mode,
        variables: vec![("$".into(), data.clone())],
        output,
    };
    run.nodes(nodes, data).map(drop)
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        for node in nodes {
            match node {
                Node::Text(text) => self.output.push_str(text),
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::Action(pipe) => {
                    let value = self.pipe(pipe, dot)?;
                    if pipe.names.is_empty() {
                        match value {
                            Value::Nil => self.output.push_str("<no value>"),
                            value => self.output.push_str(&value.show()),
                        }
                    }
                }
                Node::If(pipe, body, otherwise) => {
                    let depth = self.variables.len();
                    let value = self.pipe(pipe, dot)?;
                    let branch = if value.is_true() { body } else { otherwise };
                    let flow = self.nodes(branch, dot)?;
                    self.variables.truncate(depth);
                    if !matches!(flow, Flow::On) {
                        return Ok(flow);
                    }
                }
                Node::With(pipe, body, otherwise) => {
                    let depth = self.variables.len();
                    let value = self.pipe(pipe, dot)?;
                    let flow = if value.is_true() {
                        self.nodes(body, &value)?
                    } else {
                        self.nodes(otherwise, dot)?
                    };
                    self.variables.truncate(depth);
                    if !matches!(flow, Flow::On) {
                        return Ok(flow);
                    }
                }
                Node::Range(pipe, body, otherwise) => self.range(pipe, body, otherwise, dot)?,
            }
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        pipe: &Pipe,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<(), String> {
        let depth = self.variables.len();
        let value = self.evaluate(pipe, dot)?;
        let entries: Vec<(Value, Value)> = match value {
            Value::List(list) => (0i64..).map(Value::Int).zip(list).collect(),
            Value::Map(mut map) => {
                map.sort_by(|a, b| a.0.cmp(&b.0));
                map.into_iter().map(|(k, v)| (Value::Str(k), v)).collect()
            }
            Value::Int(count) => (0..count)
                .map(|index| (Value::Int(index), Value::Int(index)))
                .collect(),
            Value::Nil => Vec::new(),
            other => {
                return Err(self.error(
                    pipe.commands.first().and_then(|command| command.first()),
                    &format!("range can't iterate over {}", other.show()),
                ));
            }
        };
        if entries.is_empty() {
            self.nodes(otherwise, dot)?;
        }
        for (key, item) in entries {
            match pipe.names.as_slice() {
                [one] => self.variables.push((one.clone(), item.clone())),
                [index, one] => {
                    self.variables.push((index.clone(), key));
                    self.variables.push((one.clone(), item.clone()));
                }
                _ => {}
            }
            let flow = self.nodes(body, &item)?;
            self.variables.truncate(depth);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(())
    }

    /// Evaluates a pipe and gives its value to the variables it names.
    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let value = self.evaluate(pipe, dot)?;
        for name in &pipe.names {
            let known = self
                .variables
                .iter_mut()
                .rev()
                .find(|(known, _)| known == name && !pipe.declares);
            match known {
                Some(slot) => slot.1 = value.clone(),
                None => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn evaluate(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut carried = None;
        for command in &pipe.commands {
            carried = Some(self.command(command, carried, dot)?);
        }
        Ok(carried.unwrap_or(Value::Nil))
    }

    fn command(
        &mut self,
        command: &[Operand],
        carried: Option<Value>,
        dot: &Value,
    ) -> Result<Value, String> {
        let Some((first, rest)) = command.split_first() else {
            return Ok(Value::Nil);
        };
        if let Term::Function(name) = &first.kind {
            return self.call(name, first, rest, carried, dot);
        }
        let mut arguments = Vec::new();
        for operand in rest {
            arguments.push(self.operand(operand, dot, &[])?);
        }
        arguments.extend(carried);
        self.operand(first, dot, &arguments)
    }

    fn call(
        &mut self,
        name: &str,
        place: &Operand,
        rest: &[Operand],
        carried: Option<Value>,
        dot: &Value,
    ) -> Result<Value, String> {
        let mut arguments = Vec::new();
        for operand in rest {
            let value = self.operand(operand, dot, &[])?;
            // `and` and `or` stop at the first argument that decides.
            let decided = match name {
                "and" => !value.is_true(),
                "or" => value.is_true(),
                _ => false,
            };
            if decided {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(carried);
        functions::call(name, &arguments, self.mode).map_err(|why| {
            let what = if why.starts_with("wrong number") {
                why
            } else {
                format!("error calling {name}: {why}")
            };
            self.error(Some(place), &what)
        })
    }

    fn operand(
        &mut self,
        operand: &Operand,
        dot: &Value,
        arguments: &[Value],
    ) -> Result<Value, String> {
        let mut value = match &operand.kind {
            Term::Dot => dot.clone(),
            Term::Variable(name) => self
                .variables
                .iter()
                .rev()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.clone())
                .ok_or_else(|| {
                    self.error(Some(operand), &format!("undefined variable \"{name}\""))
                })?,
            Term::Function(name) => self.call(name, operand, &[], None, dot)?,
            Term::Str(text) => Value::Str(text.clone()),
            Term::Int(number) => Value::Int(*number),
            Term::Float(number) => Value::Float(*number),
            Term::Bool(truth) => Value::Bool(*truth),
            Term::Nil => Value::Nil,
            Term::Group(pipe) => self.pipe(pipe, dot)?,
        };
        for (index, name) in operand.fields.iter().enumerate() {
            let last = index + 1 == operand.fields.len();
            let arguments = if last { arguments } else { &[] };
            value = self.field(&value, name, arguments, operand)?;
        }
        Ok(value)
    }

    fn field(
        &self,
        value: &Value,
        name: &str,
        arguments: &[Value],
        place: &Operand,
    ) -> Result<Value, String> {
        match value {
            Value::Record(record) => {
                if let (true, [Value::Str(key)]) = (name == "Label", arguments) {
                    return Ok(Value::Str(self.label(record, key)));
                }
                let found = record.fields.iter().find(|(known, _)| *known == name);
                match (found, self.mode) {
                    (Some((_, value)), _) => Ok(value.clone()),
                    (None, Mode::Header) => Ok(Value::Nil),
                    (None, Mode::Values) => Err(self.error(
                        Some(place),
                        &format!("can't evaluate field {name} in type {}", record.type_name),
                    )),
                }
            }
            Value::Map(map) => map
                .iter()
                .find(|(key, _)| key == name)
                .or_else(|| loosely(map, name))
                .map(|(_, value)| value.clone())
                .or_else(|| absent(name))
                // In maps of labels and ports what is absent has no value; a struct must have the field.
                .or_else(|| (!super::value::is_struct(map)).then_some(Value::Nil))
                .ok_or_else(|| {
                    self.error(Some(place), &format!("map has no entry for key \"{name}\""))
                }),
            Value::Nil => Err(self.error(
                Some(place),
                &format!("nil data; no entry for key \"{name}\""),
            )),
            other => Err(self.error(
                Some(place),
                &format!("can't evaluate field {name} in type {}", other.type_name()),
            )),
        }
    }

    fn label(&self, record: &super::Record, key: &str) -> String {
        if self.mode == Mode::Header {
            let last = key.rsplit('.').next().unwrap_or(key);
            return last.replace(['-', '_'], " ");
        }
        record
            .labels
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    }

    fn error(&self, place: Option<&Operand>, what: &str) -> String {
        let (at, name) = place.map_or((0, "."), |operand| (operand.at, operand.text.as_str()));
        let before = &self.text[..at.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        format!("template: :{line}:{column}: executing \"\" at <{name}>: {what}")
    }
}

/// The Engine API spells `Id` and `ApiVersion` what its Go types call `ID` and `APIVersion`.
fn loosely<'a>(map: &'a [(String, Value)], name: &str) -> Option<&'a (String, Value)> {
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
        return None;
    }
    map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))
}

/// Fields that the API leaves out when they are empty, but that Go's types have.
fn absent(name: &str) -> Option<Value> {
    match name {
        "ExposedPorts" | "Annotations" | "Sysctls" | "Tmpfs" | "StorageOpt" => {
            Some(Value::Map(Vec::new()))
        }
        "Shell" => Some(Value::List(Vec::new())),
        "StopSignal" | "MacAddress" => Some(Value::Str(String::new())),
        "Healthcheck" | "StopTimeout" | "SizeRw" | "SizeRootFs" => Some(Value::Nil),
        "NetworkDisabled" | "ArgsEscaped" => Some(Value::Bool(false)),
        _ => None,
    }
}
