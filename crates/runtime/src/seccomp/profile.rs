//! Docker's profile format: a filter that depends on the container's capabilities, the architecture and the kernel.

use oci::runtime::{LinuxSeccomp, SeccompAction, SeccompArg, SeccompSyscall};
use serde::{Deserialize, Deserializer};

use super::{Arch, Error};

/// A profile as users write it; see [`Profile::resolve`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Profile {
    /// For calls that no rule names; a profile with neither this nor rules filters nothing.
    pub default_action: Option<SeccompAction>,
    /// The errno of the default action.
    pub default_errno_ret: Option<u32>,
    /// Architectures, whatever the machine.
    #[serde(deserialize_with = "null_is_empty")]
    pub architectures: Vec<String>,
    /// Architectures by the machine's own.
    #[serde(deserialize_with = "null_is_empty")]
    pub arch_map: Vec<ArchMap>,
    /// `SECCOMP_FILTER_FLAG_…`.
    #[serde(deserialize_with = "null_is_empty")]
    pub flags: Vec<String>,
    /// Socket that receives the notification descriptor.
    pub listener_path: String,
    /// Sent along with that descriptor.
    pub listener_metadata: String,
    /// The rules.
    #[serde(deserialize_with = "null_is_empty")]
    pub syscalls: Vec<Rule>,
}

/// An architecture and those whose programs it runs too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArchMap {
    /// `SCMP_ARCH_…` of the machine.
    pub architecture: String,
    /// `SCMP_ARCH_…` of the others.
    #[serde(deserialize_with = "null_is_empty")]
    pub sub_architectures: Vec<String>,
}

/// One rule and when it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// The one call meant, in profiles of old.
    pub name: String,
    /// The calls meant.
    #[serde(deserialize_with = "null_is_empty")]
    pub names: Vec<String>,
    /// What happens to them.
    pub action: SeccompAction,
    /// The errno of `action`.
    pub errno_ret: Option<u32>,
    /// Conditions on arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub args: Vec<SeccompArg>,
    /// The rule counts only where all of this is so.
    #[serde(deserialize_with = "null_is_empty")]
    pub includes: Filter,
    /// The rule does not count where any of this is so.
    #[serde(deserialize_with = "null_is_empty")]
    pub excludes: Filter,
}

/// What a rule may depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Filter {
    /// Capabilities in the bounding set, `CAP_…`.
    #[serde(deserialize_with = "null_is_empty")]
    pub caps: Vec<String>,
    /// The machine's architecture, Docker's words (`amd64`, `arm64`).
    #[serde(deserialize_with = "null_is_empty")]
    pub arches: Vec<String>,
    /// The oldest kernel, `MAJOR.MINOR`.
    #[serde(deserialize_with = "null_is_empty")]
    pub min_kernel: String,
}

/// What a profile is resolved for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The container's bounding set, `CAP_…`.
    pub capabilities: &'a [String],
    /// The machine.
    pub arch: Arch,
    /// Major and minor version of the running kernel.
    pub kernel: (u32, u32),
}

impl Profile {
    /// Reads a profile, as given to `--security-opt seccomp=FILE`.
    ///
    /// # Errors
    /// [`Error::Json`] when it is not one.
    pub fn parse(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|source| Error::Json { source })
    }

    /// The filter for one container; `None` for an empty profile, which filters nothing.
    ///
    /// # Errors
    /// When the profile contradicts itself.
    pub fn resolve(&self, context: Context<'_>) -> Result<Option<LinuxSeccomp>, Error> {
        let default_action = match self.default_action {
            None if self.syscalls.is_empty() => return Ok(None),
            action => action.unwrap_or(SeccompAction::Errno),
        };
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return Err(Error::Ambiguous {
                one: "architectures",
                other: "archMap",
            });
        }
        let mut syscalls = Vec::with_capacity(self.syscalls.len());
        for rule in &self.syscalls {
            if rule.counts(context)? {
                syscalls.push(rule.to_oci()?);
            }
        }
        Ok(Some(LinuxSeccomp {
            default_action,
            default_errno_ret: self.default_errno_ret,
            architectures: self.architectures_on(context.arch),
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        }))
    }

    fn architectures_on(&self, arch: Arch) -> Vec<String> {
        let Some(map) = self
            .arch_map
            .iter()
            .find(|map| map.architecture == arch.oci_name())
        else {
            return self.architectures.clone();
        };
        let mut words = vec![map.architecture.clone()];
        words.extend(map.sub_architectures.iter().cloned());
        words
    }
}

impl Rule {
    fn counts(&self, context: Context<'_>) -> Result<bool, Error> {
        let has = |cap: &String| context.capabilities.contains(cap);
        let here = |arch: &String| arch == context.arch.docker_name();
        let (excludes, includes) = (&self.excludes, &self.includes);
        let excluded = excludes.caps.iter().any(has)
            || excludes.arches.iter().any(here)
            || excludes.kernel_is_new_enough(context)? == Some(true);
        let included = includes.caps.iter().all(has)
            && (includes.arches.is_empty() || includes.arches.iter().any(here))
            && includes.kernel_is_new_enough(context)? != Some(false);
        Ok(included && !excluded)
    }

    fn to_oci(&self) -> Result<SeccompSyscall, Error> {
        let names = match (self.name.is_empty(), self.names.is_empty()) {
            (true, _) => self.names.clone(),
            (false, true) => vec![self.name.clone()],
            (false, false) => {
                return Err(Error::Ambiguous {
                    one: "name",
                    other: "names",
                });
            }
        };
        Ok(SeccompSyscall {
            names,
            action: self.action,
            errno_ret: self.errno_ret,
            args: self.args.clone(),
        })
    }
}

impl Filter {
    /// `None` when the filter names no kernel.
    fn kernel_is_new_enough(&self, context: Context<'_>) -> Result<Option<bool>, Error> {
        if self.min_kernel.is_empty() {
            return Ok(None);
        }
        let wanted = self
            .min_kernel
            .split_once('.')
            .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let Some(wanted) = wanted else {
            return Err(Error::BadKernelVersion {
                version: self.min_kernel.clone(),
            });
        };
        Ok(Some(context.kernel >= wanted))
    }
}

/// Go writes absent lists and objects as `null`.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(json: &str, caps: &[&str], kernel: (u32, u32)) -> LinuxSeccomp {
        let capabilities: Vec<String> = caps.iter().map(|cap| (*cap).to_owned()).collect();
        let context = Context {
            capabilities: &capabilities,
            arch: Arch::X86_64,
            kernel,
        };
        let profile = Profile::parse(json).expect("the profile is well-formed");
        let resolved = profile.resolve(context).expect("the profile is consistent");
        resolved.expect("the profile is not empty")
    }

    fn names(seccomp: &LinuxSeccomp) -> Vec<&str> {
        seccomp
            .syscalls
            .iter()
            .flat_map(|rule| rule.names.iter().map(String::as_str))
            .collect()
    }

    #[test]
    fn rules_depend_on_capabilities_architecture_and_kernel() {
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"names":["a"],"action":"SCMP_ACT_ALLOW","args":null,"includes":{},"excludes":{}},
            {"names":["b"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["c"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["d"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
            {"names":["e"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["arm64"]}},
            {"name":"f","action":"SCMP_ACT_ALLOW","includes":{"arches":["amd64","x32"]}}]}"#;
        let check = |caps: &[&str], kernel, expect: &[&str]| {
            assert_eq!(names(&resolve(json, caps, kernel)), expect);
        };
        check(&[], (6, 1), &["a", "c", "d", "f"]);
        check(&["CAP_SYS_ADMIN"], (4, 7), &["a", "b", "f"]);
        check(&[], (4, 8), &["a", "c", "d", "f"]);
    }

    #[test]
    fn the_arch_map_gives_the_machines_own_architectures() {
        let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","archMap":[
            {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]},
            {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}]}"#;
        let resolved = resolve(json, &[], (6, 1));
        assert_eq!(
            resolved.architectures,
            ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let context = Context {
            capabilities: &[],
            arch: Arch::X86_64,
            kernel: (6, 1),
        };
        let refusal = |json| {
            let profile = Profile::parse(json).expect("the profile is well-formed");
            profile.resolve(context).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(
                r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"]}]}"#
            ),
            "seccomp profile has both 'name' and 'names', use one of them"
        );
        assert_eq!(
            refusal(r#"{"syscalls":[{"name":"a","includes":{"minKernel":"x"}}]}"#),
            "seccomp profile names the kernel version \"x\"; expected MAJOR.MINOR"
        );
        assert!(Profile::parse("{").is_err());
        assert!(Profile::parse(r#"{"defaultAction":"SCMP_ACT_NOPE"}"#).is_err());
        let empty = Profile::parse("{}").expect("an empty profile is one");
        assert_eq!(empty.resolve(context).expect("nothing to refuse"), None);
    }
}
