//! Which daemon to talk to: flags, environment, contexts, then the default socket.

use std::{env, fmt, path::PathBuf};

use crate::{Error, Result, context::Contexts};

/// Where the daemon of root listens when nothing else is said.
pub const DEFAULT_HOST: &str = "unix:///run/estiva/estiva.sock";

/// A daemon's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A unix socket.
    Unix(PathBuf),
    /// A TCP address, `host:port`.
    Tcp(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Endpoint {
    /// Reads `unix://PATH`, `tcp://HOST:PORT`, `http://HOST:PORT`, or a bare `HOST:PORT`.
    ///
    /// # Errors
    /// [`Error::BadHost`] for other text, [`Error::Transport`] for `ssh://`, `npipe://` and `fd://`.
    pub fn parse(host: &str) -> Result<Self> {
        let bad = || Error::BadHost { host: host.into() };
        let Some((scheme, rest)) = host.split_once("://") else {
            return if host.contains(':') && !host.contains('/') {
                Ok(Self::Tcp(host.into()))
            } else {
                Err(bad())
            };
        };
        match scheme {
            "unix" if rest.is_empty() => Self::parse(DEFAULT_HOST),
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.into())),
            "tcp" | "http" => {
                let address = rest.trim_end_matches('/');
                let has_port = address
                    .rsplit_once(':')
                    .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
                match address {
                    "" => Ok(Self::Tcp("localhost:2375".into())),
                    _ if has_port => Ok(Self::Tcp(address.into())),
                    _ => Ok(Self::Tcp(format!("{address}:2375"))),
                }
            }
            "ssh" => Err(Error::Transport { scheme: "ssh" }),
            "https" => Err(Error::Transport { scheme: "TLS" }),
            "npipe" => Err(Error::Transport {
                scheme: "named pipe",
            }),
            "fd" => Err(Error::Transport { scheme: "fd" }),
            _ => Err(bad()),
        }
    }
}

/// What decides the endpoint, in falling order of weight.
#[derive(Debug, Default, Clone)]
pub struct Choice {
    /// `-H/--host`.
    pub host: Option<String>,
    /// `-c/--context`.
    pub context: Option<String>,
}

/// An endpoint and the word for where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The daemon's address.
    pub endpoint: Endpoint,
    /// The name of the context in force (`default` when none is).
    pub context: String,
    /// Whether this is the built-in default, whose daemon may be started on demand.
    pub is_default: bool,
}

/// Chooses the endpoint from flags, `ESTIVA_HOST`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context, the default.
///
/// # Errors
/// An unreadable host, or a context that does not exist.
pub fn choose(choice: &Choice, contexts: &Contexts) -> Result<Chosen> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let direct = |host: &str| -> Result<Chosen> {
        Ok(Chosen {
            endpoint: Endpoint::parse(host)?,
            context: "default".into(),
            is_default: false,
        })
    };
    if let Some(host) = &choice.host {
        return direct(host);
    }
    let named = match &choice.context {
        Some(name) => Some(name.clone()),
        None => {
            if let Some(host) = variable("ESTIVA_HOST").or_else(|| variable("DOCKER_HOST")) {
                return direct(&host);
            }
            variable("DOCKER_CONTEXT").or_else(|| contexts.current())
        }
    };
    match named.as_deref() {
        None | Some("default") => Ok(Chosen {
            endpoint: Endpoint::parse(
                &variable("ESTIVA_HOST")
                    .or_else(|| variable("DOCKER_HOST"))
                    .unwrap_or_else(|| DEFAULT_HOST.into()),
            )?,
            context: "default".into(),
            is_default: variable("ESTIVA_HOST")
                .or_else(|| variable("DOCKER_HOST"))
                .is_none(),
        }),
        Some(name) => Ok(Chosen {
            endpoint: Endpoint::parse(&contexts.require(name)?.host)?,
            context: name.into(),
            is_default: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_dockers_are() {
        let check = |host: &str, expect: &str| {
            assert_eq!(Endpoint::parse(host).unwrap().to_string(), expect);
        };
        check("unix:///a/b.sock", "unix:///a/b.sock");
        check("unix://", DEFAULT_HOST);
        check("tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375");
        check("tcp://example", "tcp://example:2375");
        check("127.0.0.1:99", "tcp://127.0.0.1:99");
    }

    #[test]
    fn unknown_transports_are_refused_by_name() {
        assert!(matches!(
            Endpoint::parse("ssh://me@there"),
            Err(Error::Transport { scheme: "ssh" })
        ));
        assert!(matches!(
            Endpoint::parse("nonsense"),
            Err(Error::BadHost { .. })
        ));
    }
}
