//! `--volume`, `--mount` and `--tmpfs`.

use std::{env, path::Path};

use serde_json::{Map, Value, json};

use crate::values;

/// What `-v` says: a bind or named volume, or an anonymous volume's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Volume {
    Bind(String),
    Anonymous(String),
}

/// Reads `[SOURCE:]TARGET[:MODE]`; a relative source is made absolute.
///
/// # Errors
/// Docker's words for a bad specification.
pub(super) fn volume(spec: &str) -> Result<Volume, String> {
    let fail = |why: &str| format!("invalid spec: {spec}: {why}");
    if spec.is_empty() {
        return Err("invalid empty volume spec".into());
    }
    let parts: Vec<&str> = spec.split(':').collect();
    if parts.len() > 3 {
        return Err(fail("too many colons"));
    }
    if parts.len() == 1 {
        return Ok(Volume::Anonymous(spec.to_owned()));
    }
    let source = parts[0];
    // Docker expands what begins with a dot or a tilde; other words are volume names.
    if source == "." || source == ".." || source.starts_with("./") || source.starts_with("../") {
        let here = env::current_dir().map_err(|error| fail(&error.to_string()))?;
        let absolute = clean(&here.join(source));
        return Ok(Volume::Bind(format!("{absolute}:{}", parts[1..].join(":"))));
    }
    Ok(Volume::Bind(spec.to_owned()))
}

/// The path without `.`, `..` and doubled slashes, by text alone as Go's `filepath.Clean`.
pub(crate) fn clean(path: &Path) -> String {
    use std::path::Component;
    let mut parts: Vec<String> = Vec::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether `--mount` can be read.
pub(super) fn mount_is_valid(text: &str) -> Result<(), String> {
    mount(text).map(drop)
}

/// Reads `type=bind,src=/a,dst=/b,readonly…` into the API's mount.
///
/// # Errors
/// Docker's words for a bad field.
pub(super) fn mount(text: &str) -> Result<Value, String> {
    let mut mount = Map::new();
    let (mut bind, mut volume, mut tmpfs, mut image) =
        (Map::new(), Map::new(), Map::new(), Map::new());
    let mut kind = "volume".to_owned();
    for field in csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        let key = key.to_ascii_lowercase();
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" => mount.insert("ReadOnly".into(), true.into()),
                "volume-nocopy" => volume.insert("NoCopy".into(), true.into()),
                "bind-nonrecursive" => bind.insert("NonRecursive".into(), true.into()),
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            };
            continue;
        };
        let truth =
            || values::boolean(value).map_err(|_| format!("invalid value for {key}: {value}"));
        match key.as_str() {
            "type" => kind = value.to_ascii_lowercase(),
            "source" | "src" => {
                let source = if value == "."
                    || value == ".."
                    || value.starts_with("./")
                    || value.starts_with("../")
                {
                    let here = env::current_dir().map_err(|error| error.to_string())?;
                    clean(&here.join(value))
                } else {
                    value.to_owned()
                };
                mount.insert("Source".into(), source.into());
            }
            "target" | "dst" | "destination" => {
                mount.insert("Target".into(), value.into());
            }
            "readonly" | "ro" => {
                mount.insert("ReadOnly".into(), truth()?.into());
            }
            "consistency" => {
                mount.insert("Consistency".into(), value.to_ascii_lowercase().into());
            }
            "bind-propagation" => {
                bind.insert("Propagation".into(), value.to_ascii_lowercase().into());
            }
            "bind-nonrecursive" => {
                bind.insert("NonRecursive".into(), truth()?.into());
            }
            "bind-create-src" => {
                bind.insert("CreateMountpoint".into(), truth()?.into());
            }
            "bind-recursive" => match value {
                "enabled" => {}
                "disabled" => {
                    bind.insert("NonRecursive".into(), true.into());
                }
                "writable" => {
                    bind.insert("ReadOnlyNonRecursive".into(), true.into());
                }
                "readonly" => {
                    bind.insert("ReadOnlyForceRecursive".into(), true.into());
                }
                _ => {
                    return Err(format!(
                        "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                    ));
                }
            },
            "volume-subpath" => {
                volume.insert("Subpath".into(), value.into());
            }
            "image-subpath" => {
                image.insert("Subpath".into(), value.into());
            }
            "volume-nocopy" => {
                let truth = values::boolean(value)
                    .map_err(|_| format!("invalid value for volume-nocopy: {value}"))?;
                volume.insert("NoCopy".into(), truth.into());
            }
            "volume-label" => insert_pair(&mut volume, "Labels", value),
            "volume-driver" => driver(&mut volume).insert_name(value),
            "volume-opt" => driver(&mut volume).insert_option(value),
            "tmpfs-size" => {
                let size = values::bytes(value)
                    .map_err(|_| format!("invalid value for {key}: {value}"))?;
                tmpfs.insert("SizeBytes".into(), size.into());
            }
            "tmpfs-mode" => {
                let mode = u32::from_str_radix(value, 8)
                    .map_err(|_| format!("invalid value for {key}: {value}"))?;
                tmpfs.insert("Mode".into(), mode.into());
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if kind.is_empty() {
        return Err("type is required".into());
    }
    if mount
        .get("Target")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        return Err("target is required".into());
    }
    let misplaced = |options: &Map<String, Value>, name: &str| {
        (!options.is_empty() && kind != name)
            .then(|| format!("cannot mix '{name}-*' options with mount type '{kind}'"))
    };
    for (options, name) in [
        (&volume, "volume"),
        (&bind, "bind"),
        (&tmpfs, "tmpfs"),
        (&image, "image"),
    ] {
        if let Some(error) = misplaced(options, name) {
            return Err(error);
        }
    }
    let forced =
        bind.contains_key("ReadOnlyNonRecursive") || bind.contains_key("ReadOnlyForceRecursive");
    if forced && mount.get("ReadOnly") != Some(&Value::Bool(true)) {
        return Err(
            "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction"
                .into(),
        );
    }
    mount.insert("Type".into(), kind.into());
    for (options, name) in [
        (bind, "BindOptions"),
        (volume, "VolumeOptions"),
        (tmpfs, "TmpfsOptions"),
        (image, "ImageOptions"),
    ] {
        if !options.is_empty() {
            mount.insert(name.into(), Value::Object(options));
        }
    }
    Ok(Value::Object(mount))
}

fn insert_pair(target: &mut Map<String, Value>, name: &str, pair: &str) {
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let slot = target.entry(name).or_insert_with(|| json!({}));
    if let Some(map) = slot.as_object_mut() {
        map.insert(key.into(), value.into());
    }
}

/// The driver configuration inside volume options.
struct Driver<'a>(&'a mut Map<String, Value>);

fn driver(options: &mut Map<String, Value>) -> Driver<'_> {
    let slot = options.entry("DriverConfig").or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    Driver(
        slot.as_object_mut()
            .expect("the slot was made an object above"),
    )
}

impl Driver<'_> {
    fn insert_name(self, name: &str) {
        self.0.insert("Name".into(), name.into());
    }

    fn insert_option(self, pair: &str) {
        insert_pair(self.0, "Options", pair);
    }
}

/// The fields of one line of comma-separated values, with double quotes as Go's csv reader takes them.
pub(super) fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields[last].push('"');
            }
            '"' if quoted => quoted = false,
            '"' if fields[last].is_empty() => quoted = true,
            '"' => {
                return Err("parse error on line 1, column 1: bare \" in non-quoted-field".into());
            }
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    if quoted {
        return Err(
            "parse error on line 1, column 1: extraneous or missing \" in quoted-field".into(),
        );
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes() {
        assert_eq!(volume("/a"), Ok(Volume::Anonymous("/a".into())));
        assert_eq!(volume("n:/a:ro"), Ok(Volume::Bind("n:/a:ro".into())));
        assert_eq!(
            volume("/a:/b:/c:/d"),
            Err("invalid spec: /a:/b:/c:/d: too many colons".into())
        );
    }

    #[test]
    fn mounts() {
        assert_eq!(
            mount("type=bind,\"src=/a,b\",dst=/c,readonly").unwrap(),
            json!({"Source": "/a,b", "Target": "/c", "ReadOnly": true, "Type": "bind"})
        );
        assert_eq!(
            mount("type=volume,dst=/c,volume-opt=o=x,volume-driver=local,volume-nocopy").unwrap(),
            json!({"Target": "/c", "Type": "volume", "VolumeOptions": {
                "DriverConfig": {"Options": {"o": "x"}, "Name": "local"}, "NoCopy": true}})
        );
        let check = |text: &str, expect: &str| assert_eq!(mount(text).unwrap_err(), expect);
        check("foo", "invalid field 'foo' must be a key=value pair");
        check("type=bind,foo=1,dst=/x", "unexpected key 'foo' in 'foo=1'");
        check("type=bind,src=/x", "target is required");
        check(
            "type=bind,dst=/x,tmpfs-size=1m",
            "cannot mix 'tmpfs-*' options with mount type 'bind'",
        );
    }
}
