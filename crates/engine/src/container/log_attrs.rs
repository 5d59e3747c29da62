//! What the log options `labels`, `env` and `tag` put beside each line.

use std::collections::BTreeMap;

use super::record::Record;

/// The attributes of a container's log lines.
pub(crate) fn of(record: &Record) -> BTreeMap<String, String> {
    let mut attrs = BTreeMap::new();
    let words = |name: &str| {
        record
            .log_options
            .get(name)
            .map(|list| list.split(',').collect::<Vec<_>>())
    };
    for label in words("labels").unwrap_or_default() {
        if let Some(value) = record.config.labels.get(label) {
            attrs.insert(label.to_owned(), value.clone());
        }
    }
    for wanted in words("env").unwrap_or_default() {
        let found = record
            .config
            .env
            .iter()
            .filter_map(|v| v.split_once('='))
            .find(|(name, _)| *name == wanted);
        if let Some((name, value)) = found {
            attrs.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(tag) = record.log_options.get("tag") {
        let tag = tag
            .replace("{{.ID}}", &record.id[..12])
            .replace("{{.FullID}}", &record.id)
            .replace("{{.Name}}", &record.name)
            .replace("{{.ImageName}}", &record.config.image);
        attrs.insert("tag".into(), tag);
    }
    attrs
}
