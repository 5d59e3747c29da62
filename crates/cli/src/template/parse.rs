//! Tokens become a tree of texts, actions and blocks.

use super::{
    functions,
    lex::{self, Kind, Piece, Token},
};

/// A part of a template.
#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If(Pipe, Vec<Node>, Vec<Node>),
    With(Pipe, Vec<Node>, Vec<Node>),
    Range(Pipe, Vec<Node>, Vec<Node>),
    Break,
    Continue,
}

/// Commands joined by `|`, and the variables that take the result.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) names: Vec<String>,
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// A word of a command, with where it stands for error texts.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) text: String,
    pub(super) kind: Term,
    /// Fields looked up in the term, `.A.B`.
    pub(super) fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Variable(String),
    Function(String),
    Str(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Group(Pipe),
}

/// A template that cannot be read.
#[derive(Debug)]
pub(super) struct Error {
    at: usize,
    what: String,
}

impl Error {
    pub(super) fn at(at: usize, what: impl Into<String>) -> Self {
        Self {
            at,
            what: what.into(),
        }
    }

    pub(super) fn render(&self, text: &str) -> String {
        let end = self.at.min(text.len());
        let line = text.as_bytes()[..end]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        format!("template: :{line}: {}", self.what)
    }
}

/// What ended a block.
enum End {
    Closed,
    Else(Option<(usize, Vec<Token>)>),
    Eof,
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Error> {
    let mut pieces = lex::pieces(text)?.into_iter();
    let length = text.len();
    let (nodes, end) = block(&mut pieces, length)?;
    match end {
        End::Eof => Ok(nodes),
        End::Closed => Err(Error::at(length, "unexpected {{end}}")),
        End::Else(_) => Err(Error::at(length, "unexpected {{else}}")),
    }
}

type Pieces = std::vec::IntoIter<Piece>;

fn block(pieces: &mut Pieces, length: usize) -> Result<(Vec<Node>, End), Error> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let (at, tokens) = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action { at, tokens } => (at, tokens),
        };
        let word = match tokens.first().map(|token| &token.kind) {
            Some(Kind::Word(word)) => word.as_str(),
            _ => "",
        };
        match word {
            "end" => return Ok((nodes, End::Closed)),
            "else" => {
                let chained = (tokens.len() > 1).then(|| (at, tokens[1..].to_vec()));
                return Ok((nodes, End::Else(chained)));
            }
            "break" => nodes.push(Node::Break),
            "continue" => nodes.push(Node::Continue),
            "if" | "with" | "range" => nodes.push(control(pieces, at, &tokens, length)?),
            "define" | "template" | "block" => {
                return Err(Error::at(at, format!("{word} is not supported")));
            }
            _ => nodes.push(Node::Action(pipe(&tokens, at)?)),
        }
    }
    Ok((nodes, End::Eof))
}

fn control(pieces: &mut Pieces, at: usize, tokens: &[Token], length: usize) -> Result<Node, Error> {
    let Some(Kind::Word(word)) = tokens.first().map(|token| token.kind.clone()) else {
        return Err(Error::at(at, "unexpected token in control clause"));
    };
    let condition = pipe(&tokens[1..], at)?;
    if condition.commands.is_empty() {
        return Err(Error::at(at, format!("missing value for {word}")));
    }
    let (body, end) = block(pieces, length)?;
    let otherwise = match end {
        End::Eof => return Err(Error::at(length, "unexpected EOF")),
        End::Closed => Vec::new(),
        End::Else(Some((at, tokens))) => vec![control(pieces, at, &tokens, length)?],
        End::Else(None) => match block(pieces, length)? {
            (nodes, End::Closed) => nodes,
            (_, End::Eof) => return Err(Error::at(length, "unexpected EOF")),
            (_, End::Else(_)) => return Err(Error::at(at, "expected end; found {{else}}")),
        },
    };
    Ok(match word.as_str() {
        "if" => Node::If(condition, body, otherwise),
        "with" => Node::With(condition, body, otherwise),
        _ => Node::Range(condition, body, otherwise),
    })
}

fn pipe(tokens: &[Token], at: usize) -> Result<Pipe, Error> {
    let mut cursor = Cursor { tokens, next: 0 };
    let found = cursor.pipe(at, false)?;
    if found.commands.is_empty() {
        return Err(Error::at(at, "missing value for command"));
    }
    Ok(found)
}

struct Cursor<'a> {
    tokens: &'a [Token],
    next: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn names(&mut self) -> (Vec<String>, bool) {
        let kinds: Vec<&Kind> = self.tokens[self.next..]
            .iter()
            .take(4)
            .map(|token| &token.kind)
            .collect();
        match kinds.as_slice() {
            [Kind::Variable(a), Kind::Declare, ..] => {
                let found = vec![a.clone()];
                self.next += 2;
                (found, true)
            }
            [Kind::Variable(a), Kind::Assign, ..] => {
                let found = vec![a.clone()];
                self.next += 2;
                (found, false)
            }
            [
                Kind::Variable(a),
                Kind::Comma,
                Kind::Variable(b),
                Kind::Declare,
            ] => {
                let found = vec![a.clone(), b.clone()];
                self.next += 4;
                (found, true)
            }
            _ => (Vec::new(), false),
        }
    }

    fn pipe(&mut self, at: usize, grouped: bool) -> Result<Pipe, Error> {
        let (names, declares) = self.names();
        let mut found = Pipe {
            names,
            declares,
            commands: Vec::new(),
        };
        let mut command = Vec::new();
        loop {
            match self.peek().map(|token| token.kind.clone()) {
                None if grouped => return Err(Error::at(at, "unclosed left paren")),
                None => break,
                Some(Kind::Close) if grouped => {
                    self.next += 1;
                    break;
                }
                Some(Kind::Pipe) => {
                    self.next += 1;
                    if command.is_empty() {
                        return Err(Error::at(at, "missing value for command"));
                    }
                    found.commands.push(std::mem::take(&mut command));
                }
                Some(_) => command.push(self.operand()?),
            }
        }
        if !command.is_empty() {
            found.commands.push(command);
        } else if !found.commands.is_empty() {
            return Err(Error::at(at, "missing value for command"));
        }
        Ok(found)
    }

    fn operand(&mut self) -> Result<Operand, Error> {
        let Some(token) = self.peek().cloned() else {
            return Err(Error::at(0, "missing value for command"));
        };
        self.next += 1;
        let mut at = token.at;
        let mut fields = Vec::new();
        let mut text;
        let kind = match token.kind {
            Kind::Dot => {
                text = ".".to_owned();
                Term::Dot
            }
            Kind::Field(name) => {
                text = format!(".{name}");
                fields.push(name);
                Term::Dot
            }
            Kind::Variable(name) => {
                text = name.clone();
                Term::Variable(name)
            }
            Kind::Str(value) => {
                text = super::super::values::quote(&value);
                Term::Str(value)
            }
            Kind::Int(value) => {
                text = value.to_string();
                Term::Int(value)
            }
            Kind::Float(value) => {
                text = value.to_string();
                Term::Float(value)
            }
            Kind::Word(word) => {
                text = word.clone();
                match word.as_str() {
                    "true" => Term::Bool(true),
                    "false" => Term::Bool(false),
                    "nil" => Term::Nil,
                    _ if functions::is_known(&word) => Term::Function(word),
                    _ => {
                        return Err(Error::at(at, format!("function \"{word}\" not defined")));
                    }
                }
            }
            Kind::Open => {
                text = "(…)".to_owned();
                Term::Group(self.pipe(at, true)?)
            }
            Kind::Close => return Err(Error::at(at, "unexpected right paren")),
            Kind::Comma | Kind::Declare | Kind::Assign | Kind::Pipe => {
                return Err(Error::at(at, "unexpected token in operand"));
            }
        };
        // Go places a chain of fields at its second link.
        let mut links = fields.len();
        while let Some(Token {
            at: place,
            kind: Kind::Field(name),
            spaced: false,
        }) = self.peek()
        {
            if links == 1 {
                at = *place;
            }
            links += 1;
            text.push('.');
            text.push_str(name);
            fields.push(name.clone());
            self.next += 1;
        }
        Ok(Operand {
            at,
            text,
            kind,
            fields,
        })
    }
}
