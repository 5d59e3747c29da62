//! What a spec asks for, and a container does without: nothing is left out in silence.

use std::collections::BTreeSet;

use oci::runtime::{Process, Spec};

use crate::plan::capability;

/// What of a spec will be left out, one sentence each.
///
/// Spec: OCI runtime config, "Capabilities": what cannot be granted must be warned of; runtime, "Warnings".
#[must_use]
pub fn warnings(spec: &Spec) -> Vec<String> {
    let own = sys::caps::get().map_or(u64::MAX, |sets| sets.permitted);
    let user_namespace = spec
        .linux
        .as_ref()
        .is_some_and(|linux| linux.namespace(oci::runtime::NamespaceKind::User).is_some());
    let available = if user_namespace { u64::MAX } else { own };
    let mut all = Vec::new();
    if let Some(process) = &spec.process {
        all.extend(capabilities(process, available));
    }
    let memory = spec
        .linux
        .as_ref()
        .and_then(|linux| linux.resources.as_ref()?.memory.as_ref());
    if let Some(memory) = memory {
        if memory.kernel.is_some_and(|limit| limit != 0) {
            all.push("kernel memory settings are ignored: kernels have given them up".to_owned());
        }
        if memory.use_hierarchy == Some(false) {
            all.push(
                "memory.useHierarchy false is ignored: kernels count children always".to_owned(),
            );
        }
    }
    all
}

fn capabilities(process: &Process, available: u64) -> Option<String> {
    let sets = process.capabilities.as_ref()?;
    let lists = [
        &sets.bounding,
        &sets.effective,
        &sets.inheritable,
        &sets.permitted,
        &sets.ambient,
    ];
    let missing: BTreeSet<&str> = lists
        .into_iter()
        .flatten()
        .filter(|name| capability::number(name).is_none_or(|number| available & 1 << number == 0))
        .map(String::as_str)
        .collect();
    let missing: Vec<&str> = missing.into_iter().collect();
    (!missing.is_empty()).then(|| {
        format!(
            "ignoring unknown or unavailable capabilities: [{}]",
            missing.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use oci::runtime::{Capabilities, Linux, LinuxResources, Memory};

    use super::*;

    #[test]
    fn what_is_left_out_is_told_once() {
        let process = Process {
            capabilities: Some(Capabilities {
                bounding: vec!["CAP_KILL".to_owned(), "CAP_NOSUCH".to_owned()],
                permitted: vec!["CAP_NOSUCH".to_owned(), "CAP_SYS_TIME".to_owned()],
                ..Capabilities::default()
            }),
            ..Process::default()
        };
        assert_eq!(
            capabilities(&process, !(1 << 25)).expect("two are missing"),
            "ignoring unknown or unavailable capabilities: [CAP_NOSUCH CAP_SYS_TIME]"
        );
        let spec = Spec {
            linux: Some(Linux {
                resources: Some(LinuxResources {
                    memory: Some(Memory {
                        kernel: Some(1 << 20),
                        use_hierarchy: Some(false),
                        ..Memory::default()
                    }),
                    ..LinuxResources::default()
                }),
                ..Linux::default()
            }),
            ..Spec::default()
        };
        assert_eq!(warnings(&spec).len(), 2);
        assert!(warnings(&Spec::default()).is_empty());
    }
}
