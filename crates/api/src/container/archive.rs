//! The description of a path in a container, carried base64-encoded in a header.

wire! {
    /// `X-Docker-Container-Path-Stat`.
    pub struct PathStat {
        /// The last component.
        pub name: String,
        /// Bytes.
        pub size: i64,
        /// Mode in Go's `os.FileMode` bits: permissions, and the kind in the upper bits.
        pub mode: u32,
        /// RFC 3339.
        pub mtime: String,
        /// Where a symbolic link points, within the container.
        #[serde(rename = "linkTarget")]
        pub link_target: String,
    }
}
