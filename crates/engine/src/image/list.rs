//! Which images a list shows.

use std::sync::Arc;

use oci::Reference;

use super::Image;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::prune::Until;

/// Which images a list shows.
#[derive(Debug, Clone, Default)]
pub struct ImageQuery {
    /// Also those that only others are made of.
    pub all: bool,
    /// Docker's filters.
    pub filters: ids::Filters,
}

impl Engine {
    /// The images that a query asks for, newest first.
    ///
    /// # Errors
    /// An unknown filter, or one that names what is not there.
    pub fn images(&self, query: &ImageQuery) -> Result<Vec<Arc<Image>>> {
        const KNOWN: [&str; 8] = [
            "before",
            "dangling",
            "id",
            "label",
            "label!",
            "reference",
            "since",
            "until",
        ];
        let filters = &query.filters;
        filters
            .require_known(&KNOWN)
            .map_err(|e| Error::Invalid(e.to_string()))?;
        let edge = |key: &str| -> Result<Option<jiff::Timestamp>> {
            filters
                .get(key)
                .next()
                .map_or(Ok(None), |name| Ok(self.image(name)?.created()))
        };
        let (before, since) = (edge("before")?, edge("since")?);
        let until = Until::parse(filters, self.shared.now())?.timestamp();
        let dangling = match filters.contains("dangling") {
            true => Some(
                filters
                    .flag("dangling", true)
                    .map_err(|e| Error::Invalid(e.to_string()))?,
            ),
            false => None,
        };
        let mut list = self.shared.images.list();
        list.retain(|image| {
            let created = image.created().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            let labels: ids::Labels = image.config.config.labels.clone().into_iter().collect();
            (query.all || !image.is_dangling() || self.shared.images.children(&image.id).is_empty())
                && dangling.is_none_or(|want| image.is_dangling() == want)
                && before.is_none_or(|edge| created < edge)
                && since.is_none_or(|edge| created > edge)
                && until.is_none_or(|edge| created < edge)
                && filters.matches_labels("label", &labels)
                && filters.lacks_labels("label!", &labels)
                && filters.matches_any("id", |id| {
                    image.id.to_string().starts_with(id) || image.id.short().starts_with(id)
                })
                && filters.matches_any("reference", |pattern| {
                    image.tags.iter().any(|tag| matches_reference(pattern, tag))
                })
        });
        list.sort_by(|a, b| b.created().cmp(&a.created()).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// The tags of an image that a query's `reference` filters want; all when it has none.
    #[must_use]
    pub fn tags_shown(&self, image: &Image, query: &ImageQuery) -> Vec<String> {
        let wanted = |tag: &&Reference| {
            query
                .filters
                .matches_any("reference", |pattern| matches_reference(pattern, tag))
        };
        image
            .tags
            .iter()
            .filter(wanted)
            .map(Reference::familiar)
            .collect()
    }
}

/// A `reference=` pattern (`busy*`, `*/*:latest`) against a name, with or without its tag.
fn matches_reference(pattern: &str, reference: &Reference) -> bool {
    let (full, bare) = (reference.familiar(), reference.familiar_name());
    glob(pattern.as_bytes(), full.as_bytes()) || glob(pattern.as_bytes(), bare.as_bytes())
}

/// `*` and `?` as in a file name: neither matches a slash. Takes at most pattern times text steps.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // The last `*` and where the text behind what it has swallowed begins.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&b) if b == text[t] || (b == b'?' && text[t] != b'/') => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) if text[from] != b'/' => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_with_and_without_tag() {
        let reference: Reference = "busybox:1.36".parse().expect("a reference");
        for pattern in ["busybox", "busy*", "busybox:1*", "*:1.3?"] {
            assert!(matches_reference(pattern, &reference), "{pattern}");
        }
        let stars = "*".repeat(5000) + "2";
        for pattern in ["box", "*/*", "busybox:2", &stars] {
            assert!(!matches_reference(pattern, &reference), "{pattern}");
        }
    }
}
